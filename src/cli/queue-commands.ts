/** `queue …` */
import type { Command } from "commander";
import { byDefault, confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import type { ConfirmFlags } from "./confirm.ts";
import { filtered } from "./filter-flags.ts";
import type { BulkFlags } from "./job-change.ts";
import { declareJoin } from "./join-command.ts";
import type { StatsFlags } from "./queue.ts";

export function queueCommands(parent: Command, run: Run): void {
  const queue = noun(parent, "queue", "What jobs wait in.").alias("queues");
  const list = leaf(queue, "list", "every queue, and how many jobs of each state it holds").addHelpText("after", examples("millrace queue list", "millrace queues --json | jq .queue"));
  does(list, run, async (context) => (await import("./queue.ts")).list(context));
  byDefault(queue, list);
  const stats = leaf(queue, "stats", "depth by state, rates, wait and run times, oldest waiting")
    .argument("<queue>", "a queue's name")
    .option("--since <time>", "how far back rates and times look, up to 7d\n(default: 5m)")
    .option("--watch", "again every 2 s, until Ctrl-C")
    .addHelpText("after", examples("millrace queue stats mail --watch", "millrace queue stats mail --since 1h --json | jq .history.wait"));
  does(stats, run, async (context, name: string, flags: StatsFlags) => (await import("./queue.ts")).stats(context, name, flags));
  const pause = leaf(queue, "pause", "start nothing more from it, anywhere; what runs goes on").argument("<queue>", "a queue's name");
  does(pause, run, async (context, name: string) => (await import("./queue.ts")).pause(context, name));
  const resume = leaf(queue, "resume", "let a paused queue go on").argument("<queue>", "a queue's name");
  does(resume, run, async (context, name: string) => (await import("./queue.ts")).resume(context, name));
  const purge = confirmed(filtered(leaf(queue, "purge", "remove all its jobs of these states; what runs goes on").argument("<queue>", "a queue's name").requiredOption("--state <states>", "waiting, prioritized, delayed, waiting-children,\ncompleted, failed: one, or several with commas")))
    .addHelpText("after", examples("millrace queue purge mail --state waiting --dry-run", "millrace queue purge mail --state completed,failed --older 7d --yes"));
  does(purge, run, async (context, name: string, flags: BulkFlags) => (await import("./job-change.ts")).purge(context, name, flags));
  const remove = confirmed(leaf(queue, "delete", "delete it with its jobs, schedules and settings").argument("<queue>", "a queue's name"))
    .option("--force", "although jobs are active: nobody can settle them then;\nor on their way by a move that was interrupted")
    .addHelpText("after", examples("millrace queue delete mail --dry-run", "millrace queue delete mail --yes"));
  does(remove, run, async (context, name: string, flags: ConfirmFlags & { force?: true }) => (await import("./queue.ts")).remove(context, name, flags));
  declareJoin(leaf(queue, "join", "wait until nothing put is unfinished"), run);
}
