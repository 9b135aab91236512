/** The thread's side of `offload`: imports the module, calls the function, tells how it ended. */
import { AsyncLocalStorage } from "node:async_hooks";
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
  /** Values of the storages that the module exports, by the names of the exports. */
  readonly context: Readonly<Record<string, unknown>> | undefined;
}

type Exports = Readonly<Record<string, unknown>>;

export default async function runOffloaded({ module, name, args, task, context = {} }: OffloadedCall): Promise<unknown> {
  try {
    const exported = (await import(module)) as Exports;
    const call = exportOf(exported, module, name, "function", isFunction);
    const within = Object.entries(context).reduce<() => unknown>(
      (inner, [storage, value]) => () => exportOf(exported, module, storage, "AsyncLocalStorage", isStorage).run(value, inner),
      () => call(...args),
    );
    const returned = await spawn(async () => within(), { name: task });
    return handedOver({ returned }, returned);
  } catch (error) {
    return { thrown: carry(error) } satisfies ThreadOutcome;
  }
}

function exportOf<T>(exported: Exports, module: string, name: string, kind: string, is: (value: unknown) => value is T): T {
  const found = exported[name];
  if (is(found)) return found;
  const others = Object.keys(exported).filter((each) => is(exported[each]));
  throw new NotFoundError(`no ${kind} ${JSON.stringify(name)} in ${module}: it exports ${others.join(", ") || "none"}`);
}

function isFunction(value: unknown): value is (...args: readonly unknown[]) => unknown {
  return typeof value === "function";
}

function isStorage(value: unknown): value is AsyncLocalStorage<unknown> {
  return value instanceof AsyncLocalStorage;
}

function handedOver(outcome: ThreadOutcome, returned: unknown): unknown {
  const transferables = transferablesOf(returned);
  if (transferables.length === 0) return outcome;
  return move({ [transferableSymbol]: transferables, [valueSymbol]: outcome } as never);
}
