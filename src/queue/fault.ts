/**
 * What a handler threw, read once and safely: it may be no error at all, its getters may throw, its message may be no
 * text or a hundred megabytes of it.
 */
import { isNativeError } from "node:util/types";
import { durationMs } from "../options.ts";

export interface Fault {
  /** The stable code of our own errors; they may come with another copy of this package. */
  readonly code: unknown;
  readonly name: unknown;
  /** What is stored as the job's failed reason; never empty. */
  readonly reason: string;
  readonly stack: string;
  /** What `RetryLater` asks for, where it can be followed. */
  readonly retryDelayMs: number | undefined;
}

/** In characters: Redis keeps the reason once and the last stacks of every failed job. */
const LONGEST = { reason: 10_000, stack: 20_000 };

export function faultOf(thrown: unknown): Fault {
  if (!isError(thrown)) {
    const reason = shortened(`something that is no error was thrown: ${described(thrown)}`, LONGEST.reason);
    return { code: undefined, name: undefined, reason, stack: reason, retryDelayMs: undefined };
  }
  const [code, name, message, stack] = (["code", "name", "message", "stack"] as const).map((field) => read(thrown, field));
  const reason = shortened(textOf(message) ?? textOf(name) ?? "an error without a message", LONGEST.reason);
  return { code, name, reason, stack: shortened(textOf(stack) ?? reason, LONGEST.stack), retryDelayMs: code === "RETRY_LATER" ? delayOf(thrown) : undefined };
}

/** Of whatever realm. */
function isError(thrown: unknown): thrown is object {
  try {
    return thrown instanceof Error || isNativeError(thrown);
  } catch {
    return false; // a proxy may refuse even this
  }
}

function read(object: object, field: string): unknown {
  try {
    return (object as Readonly<Record<string, unknown>>)[field];
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  return typeof value === "string" ? value : described(value);
}

function described(value: unknown): string {
  try {
    return typeof value === "object" && value !== null ? (JSON.stringify(value) ?? String(value)) : String(value);
  } catch {
    return typeof value;
  }
}

function delayOf(error: object): number | undefined {
  try {
    return durationMs(read(error, "delay"), "the delay of RetryLater");
  } catch {
    return undefined; // then the contract's back-off holds
  }
}

function shortened(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length} characters)`;
}
