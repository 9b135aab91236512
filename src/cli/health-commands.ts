/** `doctor`, `top`: how the whole system fares. */
import type { Command } from "commander";
import { does, examples, leaf, type Run } from "./commands.ts";

export function healthCommands(parent: Command, run: Run): void {
  const doctor = leaf(parent, "doctor", "what is wrong, how that is known, and what to type")
    .option("--deep", "look at every job for orphans, not at a sample")
    .addHelpText("after", `\nExit code: 5 when something was found, 0 when nothing was.\n${examples("millrace doctor", "millrace doctor --json | jq -r .remedy")}`);
  does(doctor, run, async (context, flags: { deep?: true }) => (await import("./doctor.ts")).doctor(context, flags));
}
