/** What ends a command from outside: Ctrl-C, SIGTERM, or a reader of its output that went away. */
import { CtrlC } from "../concurrency/ctrl-c.ts";
import { CancelledError } from "../errors.ts";

export type Cause = "SIGINT" | "SIGTERM" | "SIGPIPE";

/** As shells report a process that died of that signal. */
const EXIT_CODES: Readonly<Record<Cause, number>> = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 };

/**
 * Listens from its making until it is disposed of.
 *
 * The first call to end aborts `signal`; the next ones go to `onAgain`, which by default leaves the process at once.
 */
export class Interruption implements Disposable {
  onAgain: (cause: Cause) => void = (cause) => process.exit(EXIT_CODES[cause]);
  readonly #controller = new AbortController();
  readonly #ctrlC = new CtrlC();
  #cause: Cause | undefined;
  #isOrdered = false;

  constructor() {
    process.on("SIGINT", this.#listener).on("SIGTERM", this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What came first; undefined while nothing has. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** Of a command that could not end its work, by what came first. */
  get exitCode(): number | undefined {
    return this.#cause && EXIT_CODES[this.#cause];
  }

  /** Nobody reads what we write any more. */
  brokenPipe(): void {
    if (this.#cause === undefined) this.#abort("SIGPIPE");
  }

  /**
   * From now on a supervisor says when to end, and when at once. A Ctrl-C, or a signal to all processes of a service,
   * reaches it and us, in any order: what comes to us by itself counts as the first call, however often.
   */
  takeOrders(): { stop(cause: Cause): void; hurry(cause: Cause): void } {
    this.#isOrdered = true;
    const stop = (cause: Cause): void => {
      if (this.#cause === undefined) this.#abort(cause);
    };
    return {
      stop,
      hurry: (cause) => {
        stop(cause);
        this.onAgain(cause);
      },
    };
  }

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#listener).off("SIGTERM", this.#listener);
  }

  readonly #listener = (cause: "SIGINT" | "SIGTERM"): void => {
    const isEcho = this.#ctrlC.isEcho(cause);
    if (this.#cause === undefined) this.#abort(cause);
    else if (!isEcho && !this.#isOrdered) this.onAgain(cause);
  };

  #abort(cause: Cause): void {
    this.#cause = cause;
    this.#controller.abort(new CancelledError(cause === "SIGPIPE" ? "nobody reads the output" : `interrupted by ${cause}`));
  }
}
