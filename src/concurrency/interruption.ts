/** Waiting that ends early when what encloses it is cancelled, while what is waited for goes on. */
import { Scope } from "./scope.ts";

/**
 * What `promise` gives; but when the enclosing scope is cancelled first, that scope's reason is thrown.
 * The promise is left to itself then.
 *
 * @param tooLate  told of an error of the promise that came after that
 */
export async function interruptibly<T>(promise: Promise<T>, tooLate?: (error: unknown) => void): Promise<T> {
  const scope = new WaitingScope<T>(tooLate);
  scope.enter();
  try {
    return await scope.wait(promise);
  } finally {
    scope.leave();
  }
}

class WaitingScope<T> extends Scope {
  readonly #end = Promise.withResolvers<T>();
  readonly #tooLate: ((error: unknown) => void) | undefined;
  #ended = false;

  constructor(tooLate: ((error: unknown) => void) | undefined) {
    super();
    this.#tooLate = tooLate;
  }

  wait(promise: Promise<T>): Promise<T> {
    void this.#follow(promise);
    return this.#end.promise;
  }

  override interrupt(reason: Error): void {
    super.interrupt(reason);
    if (this.#ended) return;
    this.#ended = true;
    this.pending = false;
    this.#end.reject(reason);
  }

  async #follow(promise: Promise<T>): Promise<void> {
    try {
      this.#end.resolve(await promise);
    } catch (error) {
      if (this.#ended) this.#tooLate?.(error);
      else this.#end.reject(error as Error);
    }
    this.#ended = true;
  }
}
