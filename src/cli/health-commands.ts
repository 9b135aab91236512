/** `doctor`, `top`: how the whole system fares. */
import type { Command } from "commander";
import { does, examples, leaf, type Run } from "./commands.ts";

const KEYS = `
Keys: q or Ctrl-C quits, tab goes to the next list, the arrows choose a row, s
sorts by another column; p pauses a queue or lets it go on, + and - change the
slots of a worker, c cancels a task. IN, OUT, WAIT and RUN are of the last
minute, the times its p95.
Programs read queue stats QUEUE --watch --json.`;

export function healthCommands(parent: Command, run: Run): void {
  const doctor = leaf(parent, "doctor", "what is wrong, how that is known, and what to type")
    .option("--deep", "look at every job for orphans, not at a sample")
    .addHelpText("after", `\nExit code: 5 when something was found, 0 when nothing was.\n${examples("millrace doctor", "millrace doctor --json | jq -r .remedy")}`);
  does(doctor, run, async (context, flags: { deep?: true }) => (await import("./doctor.ts")).doctor(context, flags));
  const top = leaf(parent, "top", "queues, workers and tasks, live; keys sort, pause, scale, cancel").addHelpText("after", KEYS);
  does(top, run, async (context) => (await import("./top.ts")).top(context));
}
