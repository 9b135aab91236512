/** Turns what ioredis and Redis say went wrong into the errors of `src/errors.ts`. */
import { BackendError, BackendFullError, MillraceError } from "../errors.ts";

/** Replies that refuse a command before it does anything. Redis 6 wraps a script's: `ERR Error running script …: -OOM …`. */
const REFUSED =
  /(?:^|[\s-])(?:LOADING|READONLY|MOVED|ASK|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|DENIED) |^ERR max number of clients/;
const FULL = /(?:^|[\s-])OOM command not allowed/;
const UNREACHABLE_CODE = /^(?:E(?:CONN|TIMEDOUT|PIPE|HOST|NET|NOTFOUND|AI_)|ERR_STREAM|ERR_SOCKET)/;
const UNREACHABLE_MESSAGE =
  /^(?:Connection is closed|Command timed out|Socket timeout|Stream isn't writeable|Command aborted due to connection close|Reached the max retries)/;

/**
 * Redis full becomes BackendFullError; Redis unreachable, silent or unwilling becomes BackendError; both with the
 * original as `cause`, without its arguments (they hold payloads and passwords). Everything else is returned as it is.
 *
 * @param written  whether the command may have left this process; `mayHaveRun` follows from it where Redis did not answer
 */
export function asBackendError(error: unknown, written = true): Error {
  if (!(error instanceof Error)) return new Error(String(error), { cause: error });
  if (error instanceof MillraceError) return error;
  const text = describeError(error);
  if (error.name === "ReplyError") {
    if (FULL.test(text)) return new BackendFullError(`Redis is full: ${text}`, { cause: withoutArguments(error), mayHaveRun: false });
    if (REFUSED.test(text)) return new BackendError(`Redis refused: ${text}`, { cause: withoutArguments(error), mayHaveRun: false });
    return withoutArguments(error);
  }
  if (!isUnreachable(error)) return error;
  const fate = written ? "" : "; the command was not sent";
  return new BackendError(`Redis did not answer: ${text}${fate}`, { cause: withoutArguments(error), mayHaveRun: written });
}

/** What an error says, in one line; Node leaves `message` empty when several addresses of one host refuse. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "") return error.message;
  if (error instanceof AggregateError) return error.errors.map(describeError).join(", ");
  return "code" in error ? String(error.code) : error.name;
}

function isUnreachable(error: Error): boolean {
  if (UNREACHABLE_MESSAGE.test(error.message)) return true;
  if ("syscall" in error && error.syscall === "connect") return true;
  return "code" in error && typeof error.code === "string" && UNREACHABLE_CODE.test(error.code);
}

/** ioredis hangs the whole command on the error: for AUTH that is the password, for a put the payload. */
function withoutArguments(error: Error): Error {
  if ("command" in error) {
    const command = error.command as { name?: unknown } | undefined;
    error.command = { name: command?.name };
  }
  return error;
}
