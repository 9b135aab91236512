/** Parts of payloads, results and progress that nobody is to read who only operates the queue. */
import { OptionError } from "../errors.ts";
import { shown } from "../options.ts";

export const REDACTED = "***";

/** `body`, `user.email`, `cards.*.number`: names with dots between them; `*` is every element or field. */
const PATH = /^[^.\s]+(?:\.[^.\s]+)*$/;
const MOST = 50;

/** @throws OptionError when it is no list of paths */
export function checkRedact(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value) || value.length > MOST) throw new OptionError(`expected a list of at most ${MOST} paths such as "body" or "user.email" for ${where}, got ${shown(value)}`);
  const wrong = (value as unknown[]).find((path) => typeof path !== "string" || path.length > 200 || !PATH.test(path));
  if (wrong !== undefined) throw new OptionError(`expected paths such as "body", "user.email" or "cards.*.number" for ${where}, got ${shown(wrong)}`);
  return Object.freeze([...new Set(value as string[])]);
}

/** A copy of what JSON carries, with `***` at each of these paths where there is something. */
export function redacted(value: unknown, paths: readonly string[]): unknown {
  return paths.reduce((masked, path) => mask(masked, path.split(".")), value);
}

/** A copy of a log line's fields, with `***` also where one of them is, or holds, the payload: `{ body }` and `{ payload }`, which has a body. */
export function redactedFields(fields: object, paths: readonly string[]): object {
  return redacted(fields, [...paths, ...paths.map((path) => `*.${path}`)]) as object;
}

/** Of JSON text; the same text where nothing is redacted, or where it is no JSON, as a stock producer may write it. */
export function redactedText(json: string, paths: readonly string[]): string {
  if (paths.length === 0) return json;
  try {
    const value: unknown = JSON.parse(json);
    const seen = JSON.stringify(redacted(value, paths));
    return seen === JSON.stringify(value) ? json : seen;
  } catch {
    return json;
  }
}

/** Whether what stands there is redacted, is within something that is, or has something in it that is. */
export function holdsRedacted(value: unknown, keys: readonly PropertyKey[], paths: readonly string[]): boolean {
  if (paths.length === 0) return false;
  let [whole, seen] = [value, redacted(value, paths)];
  for (const key of keys) {
    if (whole !== seen && seen === REDACTED) return true;
    if (typeof whole !== "object" || whole === null || !Object.hasOwn(whole, key)) return false;
    [whole, seen] = [whole, seen].map((each) => (each as Readonly<Record<PropertyKey, unknown>>)[key]) as [unknown, unknown];
  }
  return JSON.stringify(seen) !== JSON.stringify(whole);
}

function mask(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) return REDACTED;
  // JSON has nothing but lists and plain objects; a log line may have an error.
  if (typeof value !== "object" || value === null || !(Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null))) return value;
  const isMeant = (key: string): boolean => name === "*" || key === name;
  if (Array.isArray(value)) return value.map((element: unknown, i) => (isMeant(String(i)) ? mask(element, rest) : element));
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, isMeant(key) ? mask(field, rest) : field]));
}
