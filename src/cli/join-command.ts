/** `queue join`, and `join` for short. */
import type { Command } from "commander";
import { does, examples, type Run } from "./commands.ts";

export function declareJoin(command: Command, run: Run): void {
  command
    .argument("<queue>", "a queue's name")
    .option("--timeout <time>", "then exit with 3 (default: none)")
    .addHelpText("after", examples("millrace join digest", "millrace join digest --timeout 10m && echo done"));
  does(command, run, async (context, name: string, flags: { timeout?: string }) => (await import("./join.ts")).join(context, name, flags));
}
