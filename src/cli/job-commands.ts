/** `job …` */
import type { Command } from "commander";
import { confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import { filtered, type FilterFlags } from "./filter-flags.ts";
import type { BulkFlags, EditFlags } from "./job-change.ts";
import { declarePut } from "./put-command.ts";

export function jobCommands(parent: Command, run: Run): void {
  const job = noun(parent, "job", "One unit of work.").alias("jobs");
  const list = filtered(leaf(job, "list", "the jobs of a queue, what runs first, what ended last").argument("<queue>", "a queue's name"), "waiting, prioritized, delayed, waiting-children,\nactive, completed, failed: one, or several with commas\n(default: all)")
    .addHelpText("after", examples("millrace job list mail --state active", "millrace job list mail --state failed --older 1h --error ECONNREFUSED", "millrace job list mail --json | jq -r .id | head"));
  does(list, run, async (context, queue: string, flags: FilterFlags) => (await import("./job.ts")).list(context, queue, flags));
  const show = ofJob(leaf(job, "show", "one job: state, payload, attempts, errors")).addHelpText("after", examples("millrace job show mail 17", "millrace job show mail 17 --json | jq .payload"));
  does(show, run, async (context, queue: string, id: string) => (await import("./job.ts")).show(context, queue, id));
  const logs = ofJob(leaf(job, "logs", "what its handlers logged with job.log"));
  does(logs, run, async (context, queue: string, id: string) => (await import("./job.ts")).logs(context, queue, id));
  const retry = confirmed(selecting(leaf(job, "retry", "let failed jobs run again, with all of their attempts"), "failed or completed (default: failed)"))
    .addHelpText("after", examples("millrace job retry mail 17 18", "millrace job retry mail --error ECONNREFUSED --dry-run", "millrace job retry mail --all"));
  does(retry, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).retry(context, queue, ids, flags));
  const cancel = confirmed(selecting(leaf(job, "cancel", "end jobs as cancelled; of what runs it is asked"), "waiting, prioritized, delayed, waiting-children,\nactive (default: all of them)"))
    .option("--reason <text>", "stored with them (default: by whom)")
    .addHelpText("after", examples("millrace job cancel mail 17 --reason 'sent twice'", "millrace job cancel mail --name newsletter --state waiting --yes"));
  does(cancel, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).cancel(context, queue, ids, flags));
  const promote = confirmed(selecting(leaf(job, "promote", "let delayed jobs run now"))).addHelpText("after", examples("millrace job promote mail 17", "millrace job promote mail --error timeout"));
  does(promote, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).promote(context, queue, ids, flags));
  const remove = confirmed(selecting(leaf(job, "remove", "remove jobs that do not run, with all that is kept of them"), "waiting, prioritized, delayed, waiting-children,\ncompleted, failed (default: all of them)"))
    .addHelpText("after", examples("millrace job remove mail 17 --yes", "millrace job remove mail --state completed --older 1d --dry-run"));
  does(remove, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).remove(context, queue, ids, flags));
  const copy = confirmed(selecting(leaf(job, "copy", "put copies of jobs under new ids; they wait at once"), "of any state (default: all)"))
    .option("--to <queue>", "another queue (default: the same)")
    .addHelpText("after", examples("millrace job copy mail 17", "millrace job copy mail --state failed --limit 1 --to mail-debug"));
  does(copy, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).copy(context, queue, ids, flags));
  const edit = ofJob(leaf(job, "edit", "change a job that does not run"))
    .option("--payload <json>", "in the place of its own; no contract is asked")
    .option("--priority <n>", "1 is first, 0 goes before all; of what waits")
    .option("--delay <time>", "from now; of what is delayed")
    .option("--attempts <n>", "how often it is tried in all")
    .addHelpText("after", examples(`millrace job edit mail 17 --payload '{"to":"ada@example.org"}'`, "millrace job edit mail 17 --priority 1"));
  does(edit, run, async (context, queue: string, id: string, flags: EditFlags) => (await import("./job-change.ts")).edit(context, queue, id, flags));
  declarePut(leaf(job, "put", "put one job, or one a line from standard input"), run);
}

function ofJob(command: Command): Command {
  return command.argument("<queue>", "a queue's name").argument("<id>", "a job's id");
}

/** Some ids, or a filter, or all. */
function selecting(command: Command, states?: string): Command {
  return filtered(command.argument("<queue>", "a queue's name").argument("[ids...]", "ids of jobs; without any, a filter or --all says which"), states).option("--all", "without a filter: every job in a state for it");
}
