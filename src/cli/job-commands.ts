/** `job …` */
import type { Command } from "commander";
import { does, examples, leaf, noun, type Run } from "./commands.ts";
import { filtered, type FilterFlags } from "./filter-flags.ts";
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
  declarePut(leaf(job, "put", "put one job, or one a line from standard input"), run);
}

function ofJob(command: Command): Command {
  return command.argument("<queue>", "a queue's name").argument("<id>", "a job's id");
}
