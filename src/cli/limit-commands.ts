/** `limit …` */
import type { Command } from "commander";
import { byDefault, does, examples, leaf, noun, type Run } from "./commands.ts";

export function limitCommands(parent: Command, run: Run): void {
  const limit = noun(parent, "limit", "How much of a queue runs at once, over all of its workers.").alias("limits");
  const show = leaf(limit, "show", "the limits of a queue, or of all that have any").argument("[queue]", "a queue's name");
  does(show, run, async (context, queue: string | undefined) => (await import("./limit.ts")).show(context, queue));
  byDefault(limit, show);
  const set = leaf(limit, "set", "limit a queue; it holds at once, for stock workers too")
    .argument("<queue>", "a queue's name")
    .option("--concurrency <n>", "jobs that are active at once, or none")
    .option("--rate <rate>", "jobs that start in a time: 100/s, 500/10s, 3/m; or none")
    .addHelpText("after", examples("millrace limit set mail --rate 100/s", "millrace limit set mail --concurrency none"));
  does(set, run, async (context, queue: string, flags: { concurrency?: string; rate?: string }) => (await import("./limit.ts")).set(context, queue, flags));
}
