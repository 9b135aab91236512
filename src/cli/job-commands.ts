/** `job …` */
import type { Command } from "commander";
import { leaf, noun, type Run } from "./commands.ts";
import { declarePut } from "./put-command.ts";

export function jobCommands(parent: Command, run: Run): void {
  const job = noun(parent, "job", "One unit of work.").alias("jobs");
  declarePut(leaf(job, "put", "put one job, or one a line from standard input"), run);
}
