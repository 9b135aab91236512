/**
 * Errors on their way between threads. Structured cloning alone makes every class of one's own an `Error` without its
 * fields; here a class is named, and found again on the other side.
 *
 * What arrives keeps message, stack, cause, the errors of an AggregateError and every own field that can be copied. Its
 * class is the first in its line of ancestors that the other side knows: one of the `classes` given, of Millrace, or of
 * the language. Where that is not its very own class, `name` still tells it. Lost are private `#fields`, and fields that
 * cannot be copied, such as functions.
 */
import * as register from "../errors.ts";

/** A class of errors, however it is constructed: reviving does not call its constructor. */
export type ErrorClass = abstract new (...args: never) => Error;

/** An error as plain data; `ancestors` from its own class up. */
interface CarriedError {
  readonly ancestors: readonly string[];
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause?: Carried;
  readonly errors?: readonly Carried[];
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What was thrown: an error, or any other value that can be copied. */
export type Carried = { readonly error: CarriedError } | { readonly value: unknown };

const LANGUAGE: Readonly<Record<string, ErrorClass>> = { AggregateError, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const WITH_A_PLACE = new Set(["message", "stack", "cause", "errors"]);

/** @param on  the errors that this one is the cause of, so that a circle ends */
export function carry(thrown: unknown, on: readonly unknown[] = []): Carried {
  try {
    return carried(thrown, on);
  } catch {
    // Whoever throws may throw anything: fields and prototypes that throw in their turn.
    return { value: "something was thrown that cannot be read" };
  }
}

/** @param classes  of the caller's own, which are found by their name */
export function revive(carried: Carried, classes: readonly ErrorClass[] = []): unknown {
  if ("value" in carried) return carried.value;
  const { ancestors, name, message, stack, cause, errors, fields } = carried.error;
  const error = ancestors.includes("DOMException") ? new DOMException(message, name) : ofClass(classOf(ancestors, classes), message);
  for (const [field, value] of Object.entries(fields)) define(error, field, value, true);
  if (error.name !== name) define(error, "name", name);
  define(error, "stack", stack);
  if (cause !== undefined) define(error, "cause", revive(cause, classes));
  if (errors !== undefined) define(error, "errors", errors.map((one) => revive(one, classes)));
  return error;
}

function carried(thrown: unknown, on: readonly unknown[]): Carried {
  if (!(thrown instanceof Error)) return { value: isCopyable(thrown) ? thrown : String(thrown) };
  if (on.includes(thrown)) return { value: `${thrown.name}: ${thrown.message}` };
  const below = [...on, thrown];
  return {
    error: {
      ancestors: ancestorsOf(thrown),
      name: String(thrown.name),
      message: String(thrown.message),
      stack: typeof thrown.stack === "string" ? thrown.stack : undefined,
      ...("cause" in thrown && { cause: carry(thrown.cause, below) }),
      ...(thrown instanceof AggregateError && { errors: thrown.errors.map((error) => carry(error, below)) }),
      fields: fieldsOf(thrown),
    },
  };
}

function ancestorsOf(error: Error): string[] {
  const names: string[] = [];
  for (let at = Object.getPrototypeOf(error) as object | null; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null) {
    names.push(String(at.constructor.name));
  }
  return names;
}

function classOf(ancestors: readonly string[], classes: readonly ErrorClass[]): ErrorClass {
  const given = Object.fromEntries(classes.map((each) => [each.name, each]));
  // A class of somebody else's may bear the name of one of ours.
  const ours: Readonly<Record<string, ErrorClass>> = ancestors.includes("MillraceError") ? register : {};
  for (const name of ancestors) {
    const known = [given, ours, LANGUAGE].find((some) => Object.hasOwn(some, name))?.[name];
    if (known !== undefined) return known;
  }
  return Error;
}

/** Born an Error, so that the runtime takes it for one; its prototype makes it one of the class. */
function ofClass({ prototype }: ErrorClass, message: string): Error {
  return Object.setPrototypeOf(new Error(message), prototype as object) as Error;
}

function fieldsOf(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(error)) if (!WITH_A_PLACE.has(field) && isCopyable(value)) fields[field] = value;
  return fields;
}

function define(error: Error, field: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, field, { value, enumerable, configurable: true, writable: true });
}

function isCopyable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
