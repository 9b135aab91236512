/** The Redis keys of the durable primitives. All keys of one primitive share a hash tag, so that a cluster keeps them together. */
import { OptionError } from "../errors.ts";
import { check, shown } from "../options.ts";

export type PrimitiveKind = "lock" | "semaphore" | "event" | "barrier";

const LONGEST = 200;
const text = check.string({ max: LONGEST });

/**
 * The key of one part of a primitive: `bull:millrace:lock:{account%3A42}:line`. What stands in the braces is the user's
 * key, encoded as in a URL, so that no text reaches out of them. Where the prefix has braces already, those are the tag.
 */
export function primitiveKey(prefix: string, kind: PrimitiveKind, key: string, part: string): string {
  return `${prefix}:millrace:${kind}:{${encodeURIComponent(key)}}:${part}`;
}

/** What the channels begin with on which a process is woken; its id follows. */
export function wakeUpChannel(prefix: string): string {
  return `${prefix}:millrace:wake-up:`;
}

/**
 * What a caller names a primitive by: any text of 1 to 200 characters.
 *
 * @throws OptionError otherwise
 */
export function checkKey(value: unknown, kind: PrimitiveKind): string {
  const key = text(value, `the key of a ${kind}`);
  // Half a surrogate pair becomes U+FFFD in UTF-8, so that two texts would share one key.
  if (key.isWellFormed()) return key;
  throw new OptionError(`expected well-formed Unicode for the key of a ${kind}, got ${shown(key)}`);
}
