/** Waiting that ends early when what encloses it is cancelled, while what is waited for goes on. */
import { Scope } from "./scope.ts";

/**
 * What `promise` gives; but when the enclosing scope is cancelled first, that scope's reason is thrown.
 * The promise is left to itself then.
 */
export async function interruptibly<T>(promise: Promise<T>): Promise<T> {
  const scope = new WaitingScope<T>();
  scope.enter();
  try {
    return await scope.wait(promise);
  } finally {
    scope.leave();
  }
}

class WaitingScope<T> extends Scope {
  readonly #end = Promise.withResolvers<T>();
  #ended = false;

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
      this.#end.reject(error as Error);
    }
    this.#ended = true;
  }
}
