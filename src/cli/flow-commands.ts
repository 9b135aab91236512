/** `flow …` */
import type { Command } from "commander";
import { does, examples, leaf, noun, type Run } from "./commands.ts";

export function flowCommands(parent: Command, run: Run): void {
  const flow = noun(parent, "flow", "Jobs that wait for one another.").alias("flows");
  const show = leaf(flow, "show", "the whole flow of a job as a tree, with states")
    .argument("<queue>", "a queue's name")
    .argument("<id>", "of any of its jobs")
    .option("--limit <n>", "jobs that are shown in all (default: 500)")
    .addHelpText("after", examples("millrace flow show orders 17"));
  does(show, run, async (context, queue: string, id: string, flags: { limit?: string }) => (await import("./flow.ts")).show(context, queue, id, flags));
}
