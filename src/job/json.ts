/**
 * Values to JSON text and back, exactly: what would come back changed is refused before it is written.
 *
 * `JSON.stringify` drops functions, symbols and `undefined`, empties a Map, turns NaN into null and a Date into a
 * string, all in silence. One walk over the value finds that first and names the path. It builds no path while
 * all is well, since it runs for every put and every result.
 *
 * Taken as they are, though not quite exact: an `undefined` property counts as absent, -0 as 0, and an object
 * without a prototype comes back with one.
 */
import { PayloadError, type Issue } from "../errors.ts";

/** Limit of one payload, result or progress value, in bytes of UTF-8, unless told otherwise: 1 MiB. */
export const LIMIT_BYTES = 1_048_576;

/** Deepest nesting that is taken: far above honest data, far below the stack's end. */
export const DEEPEST = 500;

/**
 * The value as JSON text.
 *
 * @param root  what it is called in messages: `"payload"`
 * @throws PayloadError naming the path of what JSON cannot carry exactly, or when it is over `limitBytes`
 */
export function toJson(value: unknown, root: string, limitBytes = LIMIT_BYTES): string {
  let fault: Fault | undefined;
  let json: string | undefined;
  const outer = room; // a getter of the value may come back here
  room = limitBytes;
  try {
    fault = walk(value, 0);
    if (fault === undefined) json = JSON.stringify(value) as string | undefined;
  } catch (error) {
    throw refused({ path: root, message: `cannot be read: ${error instanceof Error ? error.message.slice(0, 200) : "something was thrown"}` });
  } finally {
    room = outer;
  }
  if (fault !== undefined) throw refused(issueOf(fault, value, root, limitBytes));
  if (json === undefined) throw refused({ path: root, message: "is undefined: take null" });
  const bytes = json.length * 3 <= limitBytes ? 0 : utf8Bytes(json);
  if (bytes > limitBytes) throw refused({ path: root, message: `is ${bytes} bytes of JSON, ${tooLarge(limitBytes)}` });
  return json;
}

/**
 * The value that a JSON text stands for. A `__proto__` key comes back as a key.
 *
 * @throws PayloadError when it is no JSON
 */
export function fromJson(json: string, root: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw refused({ path: root, message: "is stored as something that is not JSON" });
  }
}

/** A path as one would write it: `payload.items[3]["first name"]`. */
export function pathOf(root: string, keys: Iterable<PropertyKey>): string {
  let path = root;
  for (const key of keys) {
    if (typeof key === "number") path += `[${key}]`;
    else if (typeof key === "symbol") path += "[a symbol]";
    else if (/^[\p{ID_Start}_$][\p{ID_Continue}$]{0,59}$/u.test(key)) path += `.${key}`;
    else path += `[${JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key)}]`;
  }
  return path;
}

function refused(issue: Issue): PayloadError {
  return new PayloadError(`${issue.path} ${issue.message}`, [issue]);
}

function tooLarge(limitBytes: number): string {
  return `above the limit of ${limitBytes}: store the bulk elsewhere and carry a reference`;
}

/** What was found, and the keys that lead to it, last key first: they are pushed on the way back up. */
interface Fault {
  readonly is: string | typeof DEEP | typeof LARGE;
  readonly keys: (string | number)[];
}

const DEEP = Symbol("deep");
const LARGE = Symbol("large");

/** Characters left of the limit. Every node takes at least one, so that a few shared nodes cannot be walked for ever. */
let room = 0;

/** Beyond this JavaScript writes exponents, and nobody means an integer; below lie ids that lost their last digits. */
const SMALLEST_FLOAT = 1e21;

function walk(value: unknown, depth: number): Fault | undefined {
  switch (typeof value) {
    case "string":
      return (room -= value.length + 2) < 0 ? fault(LARGE) : undefined;
    case "number":
      if (!Number.isFinite(value)) return fault(`is ${value}: take null, or a string`);
      if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < SMALLEST_FLOAT) {
        return fault("is an integer beyond 2^53, where digits are lost: take a string");
      }
      return (room -= 1) < 0 ? fault(LARGE) : undefined;
    case "boolean":
      return (room -= 4) < 0 ? fault(LARGE) : undefined;
    case "object":
      if (value === null) return (room -= 4) < 0 ? fault(LARGE) : undefined;
      if ((room -= 2) < 0) return fault(LARGE);
      if (depth > DEEPEST) return fault(DEEP);
      return Array.isArray(value) ? walkArray(value, depth) : walkObject(value, depth);
    case "bigint":
      return fault("is a bigint: take a string");
    case "undefined":
      return fault("is undefined: take null");
    default:
      return fault(`is a ${typeof value}: take data`);
  }
}

function walkObject(value: object, depth: number): Fault | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !isRootPrototype(prototype as object)) return fault(instance(value));
  const record = value as Readonly<Record<string, unknown>>;
  if (typeof record["toJSON"] === "function") return fault("has toJSON: take what it gives");
  for (const key in record) {
    const item = record[key];
    if (item === undefined) continue;
    room -= key.length + 3;
    const found = walk(item, depth + 1);
    // JSON takes own keys only; asked here, where it is rare, and not for each key.
    if (found !== undefined && Object.hasOwn(record, key)) return under(found, key);
  }
  return symbolKeys(value);
}

function walkArray(value: readonly unknown[], depth: number): Fault | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Array.prototype && (value as object).constructor?.name !== "Array") return fault(instance(value));
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return fault("has toJSON: take what it gives");
  for (let i = 0; i < value.length; i += 1) {
    const item = value[i];
    const found = item === undefined && !(i in value) ? fault("is a hole: take null") : walk(item, depth + 1);
    if (found !== undefined) return under(found, i);
  }
  if (Object.keys(value).length !== value.length) return fault("has names beside its items: take an object");
  return symbolKeys(value);
}

function symbolKeys(value: object): Fault | undefined {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length === 0 || !symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))) return undefined;
  return fault("has a symbol as key: take a string");
}

/** `Object.prototype` of another realm. */
function isRootPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

function instance(value: object): string {
  if (value instanceof Date) return "is a Date: take its toISOString(), and transform it in the schema";
  if (value instanceof Map) return "is a Map: take an array of its entries";
  if (value instanceof Set) return "is a Set: take an array";
  if (value instanceof Promise) return "is a Promise: await it first";
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return "is binary: take a base64 string";
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object"
    ? `is an instance of ${name.slice(0, 60)}: take a plain object`
    : "has a prototype of its own: take a plain object";
}

function fault(is: Fault["is"]): Fault {
  return { is, keys: [] };
}

function under(found: Fault, key: string | number): Fault {
  found.keys.push(key);
  return found;
}

function issueOf(found: Fault, value: unknown, root: string, limitBytes: number): Issue {
  const keys = found.keys.toReversed();
  if (typeof found.is === "string") return { path: pathOf(root, keys), message: found.is };
  const circle = circleIn(value, keys);
  if (circle !== undefined) {
    return { path: pathOf(root, keys.slice(0, circle.end)), message: `is circular: it is ${pathOf(root, keys.slice(0, circle.start))} again` };
  }
  if (found.is === LARGE) return { path: root, message: `is more than ${limitBytes} bytes of JSON, ${tooLarge(limitBytes)}` };
  return { path: `${pathOf(root, keys.slice(0, 5))}…`, message: `is nested deeper than ${DEEPEST} levels` };
}

/** Where the way along these keys comes back to an object that it has passed: how many keys lead to it, first and again. */
function circleIn(value: unknown, keys: readonly (string | number)[]): { readonly start: number; readonly end: number } | undefined {
  const passed = new Map<unknown, number>([[value, 0]]);
  let here = value;
  for (let end = 1; end <= keys.length; end += 1) {
    here = (here as Readonly<Record<string | number, unknown>>)[keys[end - 1] as string | number];
    const start = passed.get(here);
    if (start !== undefined) return { start, end };
    if (typeof here === "object") passed.set(here, end);
  }
  return undefined;
}

/** Bytes of a well-formed text in UTF-8; what `JSON.stringify` gives is well-formed. */
function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two, the pair four.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}
