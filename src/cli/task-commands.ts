/** `task …` */
import type { Command } from "commander";
import { byDefault, does, examples, leaf, noun, type Run } from "./commands.ts";
import type { CancelFlags, ListFlags } from "./task.ts";

export function taskCommands(parent: Command, run: Run): void {
  const task = noun(parent, "task", "What runs: jobs in the hands of workers.").alias("tasks");
  const list = withList(leaf(task, "list", "everything that runs, everywhere, the oldest first")).addHelpText(
    "after",
    examples("millrace tasks", "millrace task list --tree", "millrace tasks --older 1m --queue mail", "millrace tasks --pid 4711"),
  );
  does(list, run, async (context, flags: ListFlags) => (await import("./task.ts")).list(context, flags));
  byDefault(withList(task), list, ({ tree, queue, name, older, limit, pid }: ListFlags) => [
    ...(tree === true ? ["--tree"] : []),
    ...Object.entries({ queue, name, older, limit, pid }).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value])),
  ]);
  const cancel = leaf(task, "cancel", "tell tasks to end; their jobs end as cancelled")
    .argument("<ids...>", "of jobs that run, or their beginnings; numbers are whole")
    .option("--reason <text>", "written down with the job, and told to its handler")
    .addHelpText("after", examples("millrace task cancel AaIEwGSV", 'millrace task cancel AaIEwGSV --reason "the customer left"'));
  does(cancel, run, async (context, ids: string[], flags: CancelFlags) => (await import("./task.ts")).cancel(context, ids, flags));
}

function withList(command: Command): Command {
  return command
    .option("--queue <queue>", "tasks of this queue")
    .option("--name <name>", "of jobs of this name")
    .option("--older <time>", "that run for longer, such as 1m")
    .option("--limit <n>", "at most so many, the oldest")
    .option("--tree", "below the worker that runs it")
    .option("--pid <pid>", "instead, what one process of this machine does, as\na tree: of a millrace command, or of a program of run()");
}
