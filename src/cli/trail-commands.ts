/** `audit` */
import type { Command } from "commander";
import { does, examples, leaf, type Run } from "./commands.ts";

export function trailCommands(parent: Command, run: Run): void {
  const command = leaf(parent, "audit", "who changed what by these commands")
    .option("--since <time>", "how far back, such as 1h (default: 90d, all that is kept)")
    .addHelpText("after", examples("millrace audit --since 1h", "millrace audit --json | jq 'select(.command == \"queue delete\")'"));
  does(command, run, async (context, flags: { since?: string }) => (await import("./audit.ts")).audit(context, flags));
}
