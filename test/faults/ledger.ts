/** What producers did and handlers did, told line by line outside of Redis, so that it can be held against what Redis says. */
import { append, monotonicMs } from "../support/journal.ts";

export interface Entry {
  /**
   * Of a put: "put" before it is sent; then "acknowledged" or "refused".
   * Of a run: "started"; "told" when its signal fires; "broke off" when it throws; "ended" when its work is done.
   * Of who asks for a job to be cancelled: "asked". Of who waits for its outcome, or for a join: "settled", and how by its
   * code; meanwhile "reached" whenever Redis has answered.
   */
  readonly did: "put" | "acknowledged" | "refused" | "started" | "told" | "broke off" | "ended" | "asked" | "settled" | "reached";
  /** Which work it is: the scenario gives each a number of its own. */
  readonly n: number;
  readonly pid: number;
  /** On the machine's monotonic clock, in milliseconds. */
  readonly at: number;
  /** The job's id. */
  readonly id?: string;
  /** Grows with every delivery of the job. */
  readonly fence?: number;
  readonly attempt?: number;
  /** Of what was thrown, or fired the signal; the state of an outcome. */
  readonly code?: string;
  /** Of a refused put. */
  readonly jobMayExist?: boolean;
}

export class Ledger {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  record(entry: Omit<Entry, "pid" | "at">): void {
    append(this.#path, { ...entry, pid: process.pid, at: monotonicMs() } satisfies Entry);
  }
}
