/** The flags by which jobs are chosen: `--state`, `--name`, `--older`, `--error`, `--limit`. */
import type { Command } from "commander";

export interface FilterFlags {
  readonly state?: string;
  readonly name?: string;
  readonly older?: string;
  readonly error?: string;
  readonly limit?: string;
  readonly group?: string;
}

/** @param states  those that make sense there; the flag is left out where there is one */
export function filtered(command: Command, states?: string): Command {
  if (states !== undefined) command.option("--state <states>", states);
  return command
    .option("--name <name>", "jobs of this name")
    .option("--older <time>", "in their state for longer, such as 1h; what waits\ncounts from its put")
    .option("--error <regex>", "whose last error matches")
    .option("--limit <n>", "at most so many");
}
