/** The pool of a worker process, steered from within the process: by signals and by its supervisor, before there is a pool too. */
import type { Logger } from "../log.ts";
import type { Pool } from "../pool/pool.ts";
import type { Steer } from "../pool/supervision.ts";
import { logDump } from "./log-dump.ts";

export class SteeredPool {
  readonly #log: Logger;
  #pool: Pool | undefined;
  #isQuiet = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** What was said before this call is done now. */
  take(pool: Pool): void {
    this.#pool = pool;
    if (this.#isQuiet) pool.quiet();
  }

  /** @param by  for the log */
  steer({ order }: Steer, by: string): void {
    const pool = this.#pool;
    if (order === "dump") {
      if (pool === undefined) this.#log.info({ by }, "dump: there is no pool yet");
      else logDump(pool.dump(), this.#log);
      return;
    }
    const isQuiet = order === "quiet";
    if (pool?.state === "draining" || pool?.state === "stopped") return;
    if (isQuiet !== this.#isQuiet || (pool !== undefined && isQuiet !== (pool.state === "quiet"))) {
      this.#log.info({ by, running: pool?.running ?? 0 }, isQuiet ? "worker is quiet: takes no new jobs" : "worker takes jobs again");
    }
    this.#isQuiet = isQuiet;
    if (isQuiet) pool?.quiet();
    else pool?.resume();
  }
}
