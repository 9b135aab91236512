/** Work that would block the loop, in a thread: asyncio's `to_thread`, with threads that can be ended. */
import type { AsyncLocalStorage } from "node:async_hooks";
import type { Transferable } from "node:worker_threads";
import { OptionError } from "../errors.ts";
import { check, checkOptions, shown } from "../options.ts";
import type { ErrorClass } from "./carried-error.ts";
import type { OffloadedCall } from "./offload-thread.ts";
import { currentTask } from "./task.ts";
import type { CallOptions } from "./threads.ts";

/** The `AsyncLocalStorage`s that a module exports. */
export type Storages<M> = { readonly [N in keyof M as M[N] extends AsyncLocalStorage<infer _> ? N : never]?: M[N] };

export interface OffloadOptions<M = Record<string, unknown>> {
  /** Gives the call up. Its thread is ended in whatever it does, and another takes its place. */
  readonly signal?: AbortSignal;
  /** Of the arguments: buffers, ports and streams that go over without being copied. They are empty here from then on. */
  readonly transfer?: readonly Transferable[];
  /** Storages that the module exports, by the names of the exports: their values here hold there, as copies. */
  readonly context?: Storages<M>;
  /** Classes of errors that the function throws, for `instanceof` to hold here. Millrace's and the language's are known. */
  readonly errors?: readonly ErrorClass[];
}

type Call = (module: URL, call: Omit<OffloadedCall, "module">, options: CallOptions) => Promise<unknown>;

let threads: Promise<Call> | undefined;

/**
 * Calls a function that a module exports, in a thread, and gives what it returns.
 *
 * ```ts
 * const sum = await offload<typeof import("./cpu.ts"), "fib">(new URL("./cpu.ts", import.meta.url), "fib", [30]);
 * ```
 *
 * There are as many threads as cores; calls beyond wait for their turn. A thread imports the module when it first calls
 * into it and keeps it, so what the module holds lives in each thread apart. When its turn comes the arguments are copied, as by
 * `structuredClone`, and so is the result; or they are handed over: `options.transfer` there, `transfer(value, …)` back.
 *
 * Of the context the task's name goes with the call: `currentTask().name` is the same there. The thread has an
 * `AsyncLocalStorage` of its own for each that its modules make, so which values go with it has to be said: where the
 * module has `export const user = new AsyncLocalStorage<string>()`, `{ context: { user } }` gives `user.getStore()` its value
 * of here.
 *
 * @param module  `new URL("./cpu.ts", import.meta.url)`; TypeScript runs by type stripping, and once the program is
 *   compiled the `.js` beside is found
 * @throws what the function throws, of its class (see `errors`) and with its own stack; the signal's reason;
 *   NotFoundError when the module exports no such function or storage; OptionError when something cannot be copied;
 *   ThreadLostError when the thread ended by itself
 */
export async function offload<M extends Record<K, (...args: never[]) => unknown>, K extends keyof M & string>(
  module: URL,
  name: K,
  args: Parameters<M[K]>,
  options?: OffloadOptions<M>,
): Promise<Awaited<ReturnType<M[K]>>> {
  const { signal, transfer, context, errors } = checkOptions("offload", options, { signal: check.signal(), transfer: listOf<Transferable>, context: valuesOf, errors: listOf<ErrorClass> });
  if (!(module instanceof URL)) throw new OptionError(`expected new URL("./module.ts", import.meta.url) for the module to offload to, got ${shown(module)}`);
  if (!Array.isArray(args)) throw new OptionError(`expected an array for the arguments of ${name}, got ${shown(args)}`);
  const task = currentTask()?.name;
  const call = await (threads ??= load());
  return (await call(module, { name, args, task, context }, { signal, transfer, errors })) as Awaited<ReturnType<M[K]>>;
}

/** Threads are loaded with the first call: most programs never need one. */
async function load(): Promise<Call> {
  const [{ builtAddress }, { threadEntry }, { Threads }] = await Promise.all([import("./built-address.ts"), import("./thread-entry.ts"), import("./threads.ts")]);
  const entry = threadEntry(import.meta.url, "offload-thread");
  const all = new Threads();
  return (module, call, options) => all.run(entry, { module: builtAddress(module), ...call } satisfies OffloadedCall, options);
}

function listOf<T>(value: unknown, where: string): readonly T[] {
  if (Array.isArray(value)) return value as readonly T[];
  throw new OptionError(`expected an array for ${where}, got ${shown(value)}`);
}

function valuesOf(storages: unknown, where: string): Readonly<Record<string, unknown>> {
  const entries = Object.entries((storages ?? {}) as Readonly<Record<string, Partial<AsyncLocalStorage<unknown>> | null>>);
  const values = entries.map(([name, storage]) => {
    if (typeof storage?.getStore !== "function") throw new OptionError(`expected an AsyncLocalStorage for ${name} in ${where}, got ${shown(storage)}`);
    return [name, storage.getStore()] as const;
  });
  return Object.fromEntries(values);
}
