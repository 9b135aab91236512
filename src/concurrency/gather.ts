/** Waiting for several things at once, as asyncio's `gather`. */
import { OptionError } from "../errors.ts";
import { check, checkOptions, shown } from "../options.ts";
import { type Awaitable, checkAwaitable, isPromiseLike, type ResultOf } from "./awaitable.ts";
import { Scope } from "./scope.ts";
import { OwnedTask, start, signalTaker } from "./task.ts";

/**
 * The results of all, in the order given. Functions are started as tasks; promises and handles run already.
 *
 * The first error is thrown at once and the others go on. When what encloses the gather is cancelled, those given as
 * functions are cancelled, and once they have ended the cancellation is thrown.
 *
 * ```ts
 * const [page, user] = await gather([fetchPage(url), (signal) => loadUser(id, { signal })]);
 * ```
 *
 * @param options  `{ errors: "collect" }` throws none of their errors and gives each one's end, as `Promise.allSettled`
 */
export function gather<const W extends readonly Awaitable[]>(work: W): Promise<{ -readonly [K in keyof W]: ResultOf<W[K]> }>;
export function gather<const W extends readonly Awaitable[]>(
  work: W,
  options: { readonly errors: "collect" },
): Promise<{ -readonly [K in keyof W]: PromiseSettledResult<ResultOf<W[K]>> }>;
export async function gather(work: readonly Awaitable[], options?: { readonly errors: "collect" }): Promise<unknown> {
  const { errors } = checkOptions("gather", options, { errors: check.oneOf("collect") });
  if (!Array.isArray(work)) throw new OptionError(`expected an array for gather, got ${shown(work)}`);
  work.forEach((one, index) => checkAwaitable(one, `gather, at ${index}`));
  const scope = new GatherScope(work.length, errors === "collect");
  scope.enter();
  try {
    return await scope.run(work);
  } finally {
    scope.leave();
  }
}

class GatherScope extends Scope {
  readonly #tasks = new Set<OwnedTask<unknown>>();
  readonly #results: unknown[];
  readonly #collects: boolean;
  readonly #end = Promise.withResolvers<unknown[]>();
  #unfinished: number;
  #ended = false;

  constructor(count: number, collects: boolean) {
    super();
    this.#results = Array.from({ length: count });
    this.#unfinished = count;
    this.#collects = collects;
  }

  run(work: readonly Awaitable[]): Promise<unknown[]> {
    work.forEach((one, index) => this.#begin(one, index));
    if (work.length === 0) this.#resolve();
    return this.#end.promise;
  }

  override interrupt(reason: Error): void {
    super.interrupt(reason);
    if (this.#ended) return;
    this.pending = false;
    for (const task of this.#tasks) task.cancel(reason);
    this.#endCancelled();
  }

  #begin(one: Awaitable, index: number): void {
    if (isPromiseLike(one)) {
      one.then((value) => this.#fulfilled(index, value), (error: unknown) => this.#rejected(index, error));
    } else if (typeof one === "function") {
      const task = start(signalTaker(one), undefined, { taskDone: (ended) => this.#taskDone(index, ended) });
      this.#tasks.add(task);
    } else {
      this.inside(resultOf, one, this.signal).then((value) => this.#fulfilled(index, value), (error: unknown) => this.#rejected(index, error));
    }
  }

  #taskDone(index: number, task: OwnedTask<unknown>): void {
    this.#tasks.delete(task);
    if (this.reason !== undefined) this.#endCancelled();
    else if (task.failed || task.cancelled) this.#rejected(index, task.ending);
    else this.#fulfilled(index, task.ending);
  }

  #fulfilled(index: number, value: unknown): void {
    this.#results[index] = this.#collects ? { status: "fulfilled", value } : value;
    this.#oneMore();
  }

  #rejected(index: number, error: unknown): void {
    if (this.#collects) {
      this.#results[index] = { status: "rejected", reason: error };
      this.#oneMore();
    } else if (this.reason === undefined) {
      this.#reject(error);
    }
  }

  #oneMore(): void {
    this.#unfinished -= 1;
    if (this.#unfinished === 0 && this.reason === undefined) this.#resolve();
  }

  #endCancelled(): void {
    if (this.#tasks.size === 0) this.#reject(this.reason);
  }

  #resolve(): void {
    this.#ended = true;
    this.#end.resolve(this.#results);
  }

  #reject(error: unknown): void {
    this.#ended = true;
    this.#end.reject(error as Error);
  }
}

/** A handle may throw instead of giving a promise. */
async function resultOf(handle: { result(options?: { readonly signal?: AbortSignal }): PromiseLike<unknown> }, signal: AbortSignal): Promise<unknown> {
  return handle.result({ signal });
}
