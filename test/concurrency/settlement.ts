/** What the tests of this folder share: looking at a promise from outside, and letting everything ready run. */

export interface Settlement<T> {
  state: "pending" | "fulfilled" | "rejected";
  value?: T;
  reason?: unknown;
}

/** A record of how a promise stands, kept up to date; its rejection counts as handled. */
export function settlement<T>(promise: PromiseLike<T>): Settlement<T> {
  const record: Settlement<T> = { state: "pending" };
  promise.then(
    (value) => Object.assign(record, { state: "fulfilled", value }),
    (reason: unknown) => Object.assign(record, { state: "rejected", reason }),
  );
  return record;
}

/** Resolves once everything that is ready, and all that becomes ready by it, has run; no timers are waited for. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await undefined;
}

/** The error that a promise is rejected with. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a rejection, got the value ${String(value)}`);
}
