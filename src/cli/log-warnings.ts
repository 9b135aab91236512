/** Warnings of the process, Node's and those of debug mode, as lines of the log: they come where everything else does. */
import type { Logger } from "../log.ts";

interface Warning extends Error {
  readonly code?: string;
  readonly detail?: string;
}

/** In place of Node's own printing; where that was switched off, so is this. */
export function logWarnings(log: Logger): void {
  if (process.listenerCount("warning") === 0) return;
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message, code, detail }: Warning) => {
    log.warn({ warning: name, ...(code !== undefined && { code }), ...(detail !== undefined && { detail }) }, message);
  });
}
