/** How long a worker process takes to end, at most. */
import type { Config } from "../config.ts";
import type { StopOptions } from "../pool/pool.ts";

/** What closing the connections may take. */
const CLOSE_MS = 2000;

/**
 * Of a stop, and of one in a hurry: its phases, and after how long the process leaves whatever is left.
 *
 * The process is to be gone when drain and grace are over, since whoever asked may kill it then (Kubernetes does after
 * 30 s): giving back comes out of the grace.
 */
export function stopTimes({ drainMs, graceMs, flushMs }: Pick<Config, "drainMs" | "graceMs" | "flushMs">) {
  const givingBackMs = Math.min(flushMs, graceMs / 5);
  return {
    stop: { drain: drainMs, grace: graceMs - givingBackMs, flush: flushMs },
    hurry: { drain: 0, grace: 0, flush: flushMs },
    leaveAfterMs: { stop: drainMs + graceMs + flushMs + CLOSE_MS, hurry: flushMs + CLOSE_MS },
  } as const satisfies { readonly stop: StopOptions; readonly hurry: StopOptions; readonly leaveAfterMs: object };
}
