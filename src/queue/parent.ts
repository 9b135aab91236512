/** A process that is not to outlive its parent for long, even where its own event loop is held up and cannot notice. */
import { startTicker } from "../concurrency/timer.ts";

export interface Bond {
  /** The parent's process id. */
  readonly parent: number;
  /** For so long a held-up loop may go on without the parent. */
  readonly withinMs: number;
}

const LOOK_MS = 1000;

let bond: Bond | undefined;

/** From now on this process ends without its parent. Where its loop turns it has to see to that itself. */
export function endWithParent(withinMs: number): void {
  bond = { parent: process.ppid, withinMs };
}

export function bondToParent(): Bond | undefined {
  return bond;
}

/** For a thread beside the loop. @param silentMs  how long the loop has not turned */
export function watchParent({ parent, withinMs }: Bond, silentMs: () => number): void {
  const look = (): void => {
    // Orphans get another parent.
    if (process.ppid !== parent && silentMs() > withinMs) process.kill(process.pid, "SIGKILL");
  };
  startTicker(LOOK_MS, look, { keepsAlive: false });
}
