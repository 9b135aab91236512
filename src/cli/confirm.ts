/** Before something is destroyed: `--dry-run` says what would be done, a terminal is asked, elsewhere `--yes` is needed. */
import { createInterface } from "node:readline/promises";
import { OptionError } from "../errors.ts";
import type { Context } from "./context.ts";

export interface ConfirmFlags {
  readonly yes?: true;
  readonly dryRun?: true;
}

/** Refuses what cannot be asked, before any work was done for the question. @throws OptionError */
export function assertCanAsk({ yes, dryRun }: ConfirmFlags): void {
  if (yes === true || dryRun === true || canAsk()) return;
  throw new OptionError("expected --yes, since there is no terminal to ask: --dry-run says what would be done");
}

/**
 * Whether it is to be done. `no` was answered at a terminal; of a `dry run` all is said.
 *
 * @param what  what is done, in the imperative: `delete the queue mail and its 1,234 jobs`
 * @param would the same as data, for `--dry-run --json`
 * @throws OptionError where it can neither ask nor was told; the signal's reason
 */
export async function confirm({ output, interruption }: Context, what: string, would: object, flags: ConfirmFlags): Promise<"yes" | "no" | "dry run"> {
  if (flags.dryRun === true) {
    await output.result(`would ${what}`, { dryRun: true, ...would });
    return "dry run";
  }
  if (flags.yes === true) return "yes";
  assertCanAsk(flags);
  // The question is no result: whoever reads results may be a program.
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // While it asks, the terminal tells of no signal: Ctrl-C is a key, and comes here. Ctrl-D ends the question without an answer.
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("\n")));
  try {
    const answer = await Promise.race([lines.question(`${what[0]?.toUpperCase()}${what.slice(1)}? [y/N] `, { signal: interruption.signal }), ended]);
    if (answer === "\n") process.stderr.write(answer);
    if (/^y(es)?$/i.test(answer.trim())) return "yes";
  } finally {
    lines.close();
  }
  output.warning("nothing was done");
  return "no";
}

function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}
