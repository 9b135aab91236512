/** The names that jobs and queues may have, the ids of jobs, and what all keys begin with. Queues and ids become Redis keys, beside BullMQ's own. */
import { OptionError } from "../errors.ts";
import { shown } from "../options.ts";

const LONGEST = 200;

/** BullMQ's keys of a queue, and ours: a job of such an id would overwrite them. */
const KEYS_OF_A_QUEUE: ReadonlySet<string> = new Set([
  "", "active", "wait", "waiting-children", "paused", "id", "delayed", "prioritized", "stalled-check", "completed", "failed", "stalled",
  "repeat", "limiter", "meta", "events", "pc", "marker", "de", "priority", "metrics", "millrace", "dn",
]);

/**
 * The name of a queue: 1 to 200 characters, without `:` (BullMQ separates keys by it), `{` and `}` (a Redis cluster
 * reads them as a hash tag) and control characters.
 *
 * @throws OptionError otherwise
 */
export function checkQueueName(name: unknown): string {
  const text = checkText(name, "the name of a queue");
  if (/[:{}]/.test(text)) throw new OptionError(`expected the name of a queue without ":", "{" and "}", got ${shown(text)}`);
  return text;
}

/** The name of a job: 1 to 200 characters without control characters; it stands in no key. @throws OptionError otherwise */
export function checkJobName(name: unknown): string {
  return checkText(name, "the name of a job");
}

/**
 * An id that a caller chose for a job: 1 to 200 characters, without `:` and control characters, not the name of
 * one of the queue's keys, and not an integer such as BullMQ counts up itself.
 *
 * @throws OptionError otherwise
 */
export function checkId(id: unknown): string {
  const text = checkText(id, "a job's id");
  if (text.includes(":")) throw new OptionError(`expected a job's id without ":", got ${shown(text)}`);
  if (/^(0|[1-9]\d{0,14})$/.test(text)) throw new OptionError(`expected a job's id that is not a number, since BullMQ gives those itself, got ${shown(text)}; prefix it: "order-${text}"`);
  if (KEYS_OF_A_QUEUE.has(text)) throw new OptionError(`expected a job's id that is not a key of its queue, got ${shown(text)}; prefix it: "job-${text}"`);
  return text;
}

/** The prefix stands before every key: a colon or a brace at the wrong place would reach into other keys. @throws OptionError */
export function checkPrefix(value: unknown, where: string): string {
  if (typeof value === "string" && /^[^\s:{}]{1,100}$|^\{[^\s:{}]{1,100}\}$/.test(value)) return value;
  throw new OptionError(`expected 1 to 100 characters without white space, ":", "{" or "}" (or all of it in braces, for a cluster) for ${where}, got ${shown(value)}`);
}

function checkText(value: unknown, where: string): string {
  if (typeof value !== "string" || value === "" || value.length > LONGEST) {
    const length = typeof value === "string" ? ` (${value.length} characters)` : "";
    throw new OptionError(`expected a string of 1 to ${LONGEST} characters for ${where}, got ${shown(value)}${length}`);
  }
  if (/\p{Cc}/u.test(value)) throw new OptionError(`expected ${where} without control characters, got ${shown(value)}`);
  // Half a surrogate pair becomes U+FFFD in UTF-8, so that two names would share one key.
  if (!value.isWellFormed()) throw new OptionError(`expected ${where} to be well-formed Unicode, got ${shown(value)}`);
  return value;
}
