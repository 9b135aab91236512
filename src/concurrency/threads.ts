/**
 * A set of threads that run one call each, on piscina. They are started when they are needed, closed when nothing has
 * needed them for a while, and never hold the process; a call under way does.
 */
import { availableParallelism } from "node:os";
import type { Transferable } from "node:worker_threads";
import type { Piscina } from "piscina";
import { OptionError, ThreadLostError } from "../errors.ts";
import { type Carried, type ErrorClass, revive } from "./carried-error.ts";
import { Semaphore } from "./semaphore.ts";

export interface ThreadsOptions {
  /** At most so many at once. @default the cores that this process may use */
  readonly count?: number | undefined;
  /** Of JavaScript values a thread may hold so many MiB; one that needs more is ended. @default what Node gives it */
  readonly heapMb?: number | undefined;
  /** A thread without work is closed after this, in milliseconds. @default 10 s */
  readonly idleMs?: number | undefined;
}

export interface CallOptions {
  /** Fires: the call is given up, and its thread ended in whatever it does. */
  readonly signal?: AbortSignal | undefined;
  /** What goes over without being copied. */
  readonly transfer?: readonly Transferable[] | undefined;
  /** Of which the errors that come back may be. */
  readonly errors?: readonly ErrorClass[] | undefined;
}

/** What an entry gives: how the work in the thread ended. */
export type ThreadOutcome = { readonly returned: unknown } | { readonly thrown: Carried };

const IDLE_MS = 10_000;

export class Threads implements AsyncDisposable {
  readonly count: number;
  readonly #idleMs: number;
  readonly #heapMb: number | undefined;
  /** Who waits, waits here: piscina never starts a thread for its own queue in place of one that was ended. */
  readonly #free: Semaphore;
  #starting: Promise<Piscina> | undefined;
  #piscina: Piscina | undefined;
  readonly #calls = new Set<AbortController>();

  constructor({ count, heapMb, idleMs }: ThreadsOptions = {}) {
    this.count = count ?? availableParallelism();
    this.#heapMb = heapMb;
    this.#idleMs = idleMs ?? IDLE_MS;
    this.#free = new Semaphore(this.count);
  }

  /** How many threads there are now. */
  get open(): number {
    return this.#piscina?.threads.length ?? 0;
  }

  /**
   * Runs the default export of an entry module in a thread, first come first served.
   *
   * @param entry  the path of the module; see `threadEntry`
   * @throws what was thrown in the thread; the signal's reason; OptionError when something cannot be copied over;
   *   ThreadLostError when the thread ended by itself
   */
  async run(entry: string, message: unknown, { signal, transfer = [], errors }: CallOptions = {}): Promise<unknown> {
    using _ = await this.#free.acquire({ signal });
    const piscina = this.#piscina ?? (await (this.#starting ??= this.#start()));
    const call = new AbortController();
    const giveUp = (): void => call.abort(signal?.reason);
    if (signal?.aborted === true) throw signal.reason;
    signal?.addEventListener("abort", giveUp, { once: true });
    this.#calls.add(call);
    let outcome: ThreadOutcome | null;
    try {
      outcome = (await piscina.run(message, { filename: entry, signal: call.signal, transferList: [...transfer] })) as ThreadOutcome | null;
    } catch (error) {
      if (call.signal.aborted) throw call.signal.reason;
      throw asThreadError(error);
    } finally {
      this.#calls.delete(call);
      signal?.removeEventListener("abort", giveUp);
    }
    // What ended the thread was thrown, but nothing that piscina takes for an error: null, say.
    if (outcome === null) throw asThreadError("it threw what is no error");
    if ("thrown" in outcome) throw revive(outcome.thrown, errors);
    return outcome.returned;
  }

  /** Ends every thread, in whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    const piscina = await this.#starting;
    this.#starting = this.#piscina = undefined;
    await piscina?.destroy();
  }

  async #start(): Promise<Piscina> {
    const { Piscina } = await import("piscina");
    const piscina = new Piscina({
      minThreads: 0,
      maxThreads: this.count,
      idleTimeout: this.#idleMs,
      // Between calls the thread's own loop goes on turning: connections that its modules keep stay alive.
      atomics: "disabled",
      recordTiming: false,
      ...(this.#heapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: this.#heapMb } }),
    });
    // It ended while it ran no call: it had nothing to do, or it could not even start.
    let failure: unknown;
    piscina.on("error", (error: unknown) => {
      failure = error;
      process.emitWarning(`a thread without work ended by an error: ${(error instanceof Error && error.stack) || String(error)}`, "LostThreadWarning");
    });
    // With no thread left and none starting, piscina would let those who wait for one wait for ever.
    const giveUpWithoutThreads = (): void => {
      if (piscina.threads.length > 0 || piscina.queueSize === 0) return;
      for (const call of this.#calls) call.abort(asThreadError(failure ?? "threads end before they can begin"));
    };
    piscina.on("workerDestroy", () => queueMicrotask(giveUpWithoutThreads));
    this.#piscina = piscina;
    return piscina;
  }
}

function asThreadError(error: unknown): Error {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  // What could not be copied back comes as the error that ended the thread: only its stack still tells its name.
  if (name === "DataCloneError" || stack?.startsWith("DataCloneError:") === true) {
    return new OptionError(`expected what goes to a thread and comes back to be data that can be copied: ${message}`, { cause: error });
  }
  return new ThreadLostError(`the thread ended before its work did: ${message}`, { cause: error });
}
