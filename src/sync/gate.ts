/** What was begun through one object and has not ended: so that disposing the object ends it, and closing the app does too. */
import { CancelledError } from "../errors.ts";
import type { Hub, Ongoing } from "./hub.ts";

export class Gate implements AsyncDisposable {
  readonly hub: Hub;
  readonly #what: string;
  readonly #ongoing = new Set<Ongoing>();

  /** @param what  for messages: `semaphore "mail"` */
  constructor(hub: Hub, what: string) {
    this.hub = hub;
    this.#what = what;
  }

  /** @throws BackendError when the app is closed */
  add(ongoing: Ongoing): void {
    this.hub.add(ongoing);
    this.#ongoing.add(ongoing);
  }

  delete(ongoing: Ongoing): void {
    this.hub.delete(ongoing);
    this.#ongoing.delete(ongoing);
  }

  /** Ends every wait with CancelledError and gives back what is held. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#ongoing].map((ongoing) => ongoing.end(new CancelledError(`${this.#what} was disposed`))));
  }
}
