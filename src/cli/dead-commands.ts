/** `dead …` */
import type { Command } from "commander";
import { byDefault, confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import { filtered, type FilterFlags } from "./filter-flags.ts";
import type { BulkFlags } from "./job-change.ts";

export function deadCommands(parent: Command, run: Run): void {
  const dead = noun(parent, "dead", "Jobs that failed for good, kept for the operator.");
  const list = filtered(leaf(dead, "list", "dead letters by their error, the most frequent first").argument("[queue]", "a queue's name (default: all queues)"))
    .option("--all", "all of them, not the last 10,000 of each queue")
    .addHelpText("after", examples("millrace dead list", "millrace dead list mail --older 1h", "millrace dead list --json | jq -r .sampleStack"));
  does(list, run, async (context, queue: string | undefined, flags: FilterFlags & { all?: true }) => (await import("./dead.ts")).list(context, queue, flags));
  byDefault(dead, list);
  const show = leaf(dead, "show", "one group: how many, since when, and its last job").argument("<queue>", "a queue's name").argument("<group>", "as dead list names it").addHelpText("after", examples("millrace dead show mail 3f2a91c0"));
  does(show, run, async (context, queue: string, group: string) => (await import("./dead.ts")).show(context, queue, group));
  const retry = confirmed(selecting(leaf(dead, "retry", "let dead letters run again, with all of their attempts")))
    .addHelpText("after", examples("millrace dead retry mail --group 3f2a91c0", "millrace dead retry mail --error ECONNREFUSED --dry-run", "millrace dead retry mail --all"));
  does(retry, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).retryLetters(context, queue, ids, flags));
  const discard = confirmed(selecting(leaf(dead, "discard", "remove dead letters, with all that is kept of them")))
    .addHelpText("after", examples("millrace dead discard mail --group 3f2a91c0 --yes", "millrace dead discard mail --older 30d --dry-run"));
  does(discard, run, async (context, queue: string, ids: string[], flags: BulkFlags) => (await import("./job-change.ts")).discard(context, queue, ids, flags));
  const toLines = grouped(filtered(leaf(dead, "export", "dead letters with all that is known of them, as JSON").argument("<queue>", "a queue's name")))
    .addHelpText("after", examples("millrace dead export mail > dead.ndjson", "millrace dead export mail --group 3f2a91c0 | jq .payload"));
  does(toLines, run, async (context, queue: string, flags: FilterFlags) => (await import("./dead.ts")).toLines(context, queue, flags));
}

function selecting(command: Command): Command {
  return grouped(filtered(command.argument("<queue>", "a queue's name").argument("[ids...]", "ids of jobs; without any, a filter or --all says which"))).option("--all", "without a filter: every dead letter of the queue");
}

function grouped(command: Command): Command {
  return command.option("--group <group>", "of this group, as dead list names it");
}
