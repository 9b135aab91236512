/** The thread's side of `offload`: imports the module, calls the function, tells how it ended. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { NotFoundError } from "../errors.ts";
import { carry } from "./carried-error.ts";
import { spawn } from "./task.ts";
import type { ThreadOutcome } from "./threads.ts";
import { transferablesOf } from "./transfer.ts";

export interface OffloadedCall {
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];
  /** Of the task that offloaded it. */
  readonly task: string | undefined;
}

export default async function runOffloaded({ module, name, args, task }: OffloadedCall): Promise<unknown> {
  try {
    const call = await importFunction(module, name);
    const returned = await spawn(async () => call(...args), { name: task });
    return handedOver({ returned }, returned);
  } catch (error) {
    return { thrown: carry(error) } satisfies ThreadOutcome;
  }
}

async function importFunction(module: string, name: string): Promise<(...args: readonly unknown[]) => unknown> {
  const exported = (await import(module)) as Readonly<Record<string, unknown>>;
  const found = exported[name];
  if (typeof found === "function") return found as (...args: readonly unknown[]) => unknown;
  const functions = Object.keys(exported).filter((each) => typeof exported[each] === "function");
  throw new NotFoundError(`no function ${JSON.stringify(name)} in ${module}: it exports ${functions.join(", ") || "none"}`);
}

function handedOver(outcome: ThreadOutcome, returned: unknown): unknown {
  const transferables = transferablesOf(returned);
  if (transferables.length === 0) return outcome;
  return move({ [transferableSymbol]: transferables, [valueSymbol]: outcome } as never);
}
