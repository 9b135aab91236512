/** Commands that wait for an answer, each for so long at most: one timer for all of them, since most are answered at once. */
import { startTimer } from "../concurrency/timer.ts";

export class Unanswered<C extends { readonly isSettled: boolean }> {
  readonly #limitMs: number;
  readonly #onLate: (command: C) => void;
  /** In the order in which their time is up, which is that of their sending. */
  #waiting: { readonly command: C; readonly until: number }[] = [];
  #isTimed = false;

  constructor(limitMs: number, onLate: (command: C) => void) {
    this.#limitMs = limitMs;
    this.#onLate = onLate;
  }

  /** One that is sent again, once there is a connection, keeps the time that it was given first. */
  add(command: C): void {
    // What was answered is let go of here, and not when its time is up: it may hold a megabyte.
    this.#dropAnswered();
    this.#waiting.push({ command, until: performance.now() + this.#limitMs });
    if (!this.#isTimed) this.#watch(this.#limitMs);
  }

  #watch(forMs: number): void {
    this.#isTimed = true;
    startTimer(forMs, () => this.#expire(), { keepsAlive: false });
  }

  #expire(): void {
    this.#isTimed = false;
    this.#dropAnswered();
    const now = performance.now();
    let expired = 0;
    while (expired < this.#waiting.length && this.#waiting[expired]!.until <= now) expired += 1;
    const late = this.#waiting.splice(0, expired);
    // Timers come before input in the event loop, immediates after it: where the loop was blocked, answers may be there, unread.
    if (late.length > 0) setImmediate(() => this.#tell(late));
    const [next] = this.#waiting;
    // A timer may be a millisecond early.
    if (next !== undefined) this.#watch(Math.max(1, Math.ceil(next.until - now)));
  }

  #tell(late: readonly { readonly command: C }[]): void {
    for (const { command } of late) if (!command.isSettled) this.#onLate(command);
  }

  #dropAnswered(): void {
    let answered = 0;
    while (this.#waiting[answered]?.command.isSettled === true) answered += 1;
    if (answered > 0) this.#waiting.splice(0, answered);
  }
}
