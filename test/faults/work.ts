/** The work that the jobs of every scenario do, whoever runs them. It tells the ledger each of its steps. */
import { setTimeout as delay } from "node:timers/promises";
import type { Entry, Ledger } from "./ledger.ts";

/** A job's payload. */
export type Work = {
  readonly n: number;
  readonly does: "sleep" | "ignore" | "block" | "fail" | "die" | "nothing";
  /** For how long, by run: the last holds for all later ones. */
  readonly ms: readonly number[];
};

/** The id of a work that may be put again. */
export function nameOf({ n }: Work): string {
  return `work-${n}`;
}

/** A job's result: says which run it came from. */
export type Done = { readonly n: number; readonly fence: number };

/** One run, as the subject sees it. */
export interface Run {
  readonly id: string;
  readonly fence: number;
  readonly attempt: number;
  readonly signal: AbortSignal | undefined;
}

const deeds: Readonly<Record<Exclude<Work["does"], "nothing">, (ms: number, signal: AbortSignal | undefined) => unknown>> = {
  /** Ends at once when it is told to. */
  sleep: (ms, signal) => delay(ms, undefined, signal && { signal }),
  /** Goes on whatever it is told. */
  ignore: (ms) => delay(ms),
  /** Lets nothing else happen. */
  block: (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  fail: async (ms) => {
    await delay(ms);
    throw new Error("as it was told to");
  },
  /** Takes its process along. */
  die: async (ms) => {
    await delay(ms);
    process.kill(process.pid, "SIGKILL");
    await delay(1000);
  },
};

/**
 * A subject that runs a job whose payload is gone is to be seen: it does nothing, and is told.
 *
 * @param earlier  how many runs of it have started before
 */
export async function perform({ n = -1, does = "sleep", ms = [0] }: Partial<Work>, run: Run, ledger: Ledger, earlier: (n: number) => number): Promise<Done> {
  // Of these there are too many for the ledger.
  if (does === "nothing") return { n, fence: run.fence };
  const { signal, ...facts } = run;
  const record = (did: Entry["did"], code?: string): void => ledger.record({ did, n, ...facts, ...(code !== undefined && { code }) });
  const length = ms[Math.min(ms.length > 1 ? earlier(n) : 0, ms.length - 1)] ?? 0;
  record("started");
  signal?.addEventListener("abort", () => record("told", codeOf(signal.reason)));
  try {
    await deeds[does](length, signal);
  } catch (error) {
    record("broke off", codeOf(error));
    throw error;
  }
  record("ended");
  return { n, fence: run.fence };
}

export function codeOf(error: unknown): string {
  const { code, name, message } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown; readonly message?: unknown };
  return String(code ?? (name === "Error" ? message : name) ?? error);
}
