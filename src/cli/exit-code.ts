/** The exit codes, and which error ends a command with which. */

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  timedOut: 3,
  /** A queue, job, handler or producer of that name does not exist. */
  notFound: 4,
  /** The command looked, and found something to be put right. */
  findings: 5,
  unreachable: 6,
} as const;

const BY_CODE: Readonly<Record<string, number>> = {
  OPTION_INVALID: EXIT.usage,
  PAYLOAD_INVALID: EXIT.usage,
  NO_REDIS: EXIT.usage,
  TIMEOUT: EXIT.timedOut,
  NOT_FOUND: EXIT.notFound,
  JOB_REMOVED: EXIT.notFound,
  PREFLIGHT_FAILED: EXIT.findings,
  BACKEND_UNAVAILABLE: EXIT.unreachable,
  BACKEND_FULL: EXIT.unreachable,
  ENQUEUE_TIMEOUT: EXIT.unreachable,
  REDIS_SERVER: EXIT.unreachable,
};

/**
 * By `code` and not by class: the error may come from another copy of the package, which the user's modules import.
 * Several errors that came together, as from a task group, end as the first of them would.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof AggregateError && error.errors.length > 0) return exitCodeOf(error.errors[0]);
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return (typeof code === "string" ? BY_CODE[code] : undefined) ?? EXIT.failed;
}
