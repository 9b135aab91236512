/**
 * What a job carries, to the JSON that Redis holds and back, through the contract's schemas.
 *
 * Writing checks the schema's *input* and stores it unchanged; reading parses it and gives the *output*. So
 * defaults and transforms run where the value is used, and a stock BullMQ worker reads what was put. Results
 * mirror this. Schemas may be asynchronous: a promise is given only where one is needed. What a schema says of a part that the
 * contract redacts stays with who puts it; elsewhere messages are stored and logged, and say only that it does not fit.
 */
import type { StandardSchemaV1 as Schema } from "@standard-schema/spec";
import { PayloadError, UnknownJobError, type Issue } from "../errors.ts";
import { shown } from "../options.ts";
import { holdsRedacted, redacted } from "./redact.ts";
import type { JobDefinition } from "./contract.ts";
import { fromJson, LIMIT_BYTES, pathOf, toJson } from "./json.ts";
import { versionRelation } from "./version.ts";

/** What BullMQ stores for a job without data. */
const NO_PAYLOAD = "{}";

/** What BullMQ stores for a job that gave nothing back. */
const NO_RESULT = "null";

/**
 * A payload as it is stored. Nothing is `{}`, as in BullMQ: for a contract without a payload, and for one whose
 * schema takes `{}` because every field is optional.
 *
 * @throws PayloadError (or rejects with it) when the schema refuses it, or JSON cannot carry it within `limitBytes`
 */
export function encodePayload(definition: JobDefinition, input: unknown, limitBytes = LIMIT_BYTES): string | Promise<string> {
  const { payload: schema, name } = definition;
  if (schema === undefined) {
    if (input === undefined) return NO_PAYLOAD;
    throw new PayloadError(`job ${shown(name)} takes no payload, got ${shown(input)}: give its contract a payload schema`, [
      { path: "payload", message: "is not taken" },
    ]);
  }
  if (input === undefined) return checked(schema, {}, NO_PAYLOAD, "payload", (issues) => missing(definition, issues));
  return checked(schema, input, toJson(input, "payload", limitBytes), "payload", (issues) => unfit(definition, "payload", issues));
}

/**
 * A payload as the handler gets it.
 *
 * @param json  as stored; undefined when the job's data are gone
 * @param version  as stored; undefined where a stock producer wrote none: then the newest schema that takes it reads it
 * @throws UnknownJobError when it was put under a newer version: a newer worker can read it, so give it back
 * @throws PayloadError (or rejects with it) when it is missing, no JSON, or fits no known version
 */
export function decodePayload(definition: JobDefinition, json: string | undefined, version: number | undefined): unknown {
  const relation = versionRelation(definition, version);
  const { name, payload, previous } = definition;
  if (relation === "newer") {
    throw new UnknownJobError(`job ${shown(name)} was put under version ${version}, this worker knows ${definition.version}: deploy the newer one`);
  }
  if (relation === "unknown") {
    throw new PayloadError(`job ${shown(name)} was put under version ${version}, which this contract no longer reads: add previous: { ${version}: schema }`, [
      { path: "payload", message: `is of version ${version}` },
    ]);
  }
  if (json === undefined) {
    throw new PayloadError(`the payload of job ${shown(name)} is gone from Redis: was it evicted, or the job removed in part?`, [
      { path: "payload", message: "is gone" },
    ]);
  }
  const stored = fromJson(json, "payload");
  if (relation === "older") return read(definition, previous[version as number] as Schema, stored);
  const older = version === undefined ? Object.keys(previous).map(Number).toSorted((a, b) => b - a) : [];
  if (payload === undefined) {
    if (isNothing(stored)) return undefined;
    if (older.length === 0) throw unfit(definition, "payload", [{ path: "payload", message: `is ${shown(redacted(stored, definition.redact ?? []))}, and the contract takes none` }]);
  }
  return readAny(definition, [...(payload ? [payload] : []), ...older.map((each) => previous[each] as Schema)], stored);
}

/**
 * A result as it is stored; of a stock processor it is text already. A contract without a result stores `null` whatever came back: work that is done does
 * not fail for a value that nobody asked for.
 *
 * @throws PayloadError (or rejects with it) when the schema refuses it, or JSON cannot carry it within `limitBytes`
 */
export function encodeResult(definition: JobDefinition, value: unknown, limitBytes = LIMIT_BYTES): string | Promise<string> {
  const { result: schema, stock } = definition;
  if (stock !== undefined) return value as string;
  if (schema === undefined) return NO_RESULT;
  return checked(schema, value, toJson(value, "result", limitBytes), "result", (issues) => unfit(definition, "result", issues), definition.redact);
}

/**
 * A result as the one who awaits it gets it; undefined for a contract without one.
 *
 * @param json  as stored; undefined when nothing was
 * @throws PayloadError (or rejects with it) when it fits the schema no longer
 */
export function decodeResult(definition: JobDefinition, json: string | undefined): unknown {
  const { result: schema } = definition;
  if (schema === undefined) return undefined;
  return parsed(schema, fromJson(json ?? NO_RESULT, "result"), "result", (issues) => unfit(definition, "result", issues), definition.redact);
}

/**
 * A progress value as it is stored: what the schema takes, or a number.
 *
 * @throws PayloadError (or rejects with it) when the schema refuses it, or JSON cannot carry it within `limitBytes`
 */
export function encodeProgress(definition: JobDefinition, value: unknown, limitBytes = LIMIT_BYTES): string | Promise<string> {
  const { progress: schema } = definition;
  const json = toJson(value, "progress", limitBytes);
  if (schema !== undefined) return checked(schema, value, json, "progress", (issues) => unfit(definition, "progress", issues), definition.redact);
  if (typeof value === "number") return json;
  throw unfit(definition, "progress", [{ path: "progress", message: `is ${shown(redacted(value, definition.redact ?? []))}: take a number, or give the contract a progress schema` }]);
}

/**
 * A progress value as the one who follows it gets it: as it was stored, for it was checked when it was written
 * and is not transformed.
 *
 * @throws PayloadError when it is no JSON
 */
export function decodeProgress(_definition: JobDefinition, json: string): unknown {
  return fromJson(json, "progress");
}

type Root = "payload" | "result" | "progress";
type Refusal = (issues: readonly Issue[]) => PayloadError;

/** The JSON, once the schema has taken the value. @param redact  what of the value no message is to quote */
function checked(schema: Schema, value: unknown, json: string, root: Root, refusal: Refusal, redact?: readonly string[]): string | Promise<string> {
  const outcome = validate(schema, value, root);
  return isPromise(outcome) ? outcome.then((settled) => (outputOf(settled, value, root, refusal, redact), json)) : (outputOf(outcome, value, root, refusal, redact), json);
}

/** What the schema makes of the value. */
function parsed(schema: Schema, value: unknown, root: Root, refusal: Refusal, redact?: readonly string[]): unknown {
  const outcome = validate(schema, value, root);
  return isPromise(outcome) ? outcome.then((settled) => outputOf(settled, value, root, refusal, redact)) : outputOf(outcome, value, root, refusal, redact);
}

function read(definition: JobDefinition, schema: Schema, stored: unknown): unknown {
  return parsed(schema, stored, "payload", (issues) => unfit(definition, "payload", issues), definition.redact);
}

/** The output of the first schema that takes the value; the error is the first one's, whose version is the newest. */
function readAny(definition: JobDefinition, schemas: readonly Schema[], stored: unknown): unknown {
  const [first, ...others] = schemas as [Schema, ...Schema[]];
  if (others.length === 0) return read(definition, first, stored);
  return (async () => {
    try {
      return await read(definition, first, stored);
    } catch (refusal) {
      for (const schema of others) {
        const outcome = await validate(schema, stored, "payload");
        if (outcome.issues === undefined) return outcome.value;
      }
      throw refusal;
    }
  })();
}

/** A schema that throws, as a transform may, refuses. */
function validate(schema: Schema, value: unknown, root: Root): Schema.Result<unknown> | Promise<Schema.Result<unknown>> {
  try {
    const outcome = schema["~standard"].validate(value);
    return isPromise(outcome) ? Promise.resolve(outcome).catch((error: unknown) => threw(error, root)) : outcome;
  } catch (error) {
    return threw(error, root);
  }
}

function threw(error: unknown, root: Root): Schema.FailureResult {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : shown(error);
  return { issues: [{ message: `the schema of the ${root} threw ${message}` }] };
}

function outputOf(outcome: Schema.Result<unknown>, value: unknown, root: Root, refusal: Refusal, redact: readonly string[] = []): unknown {
  if (outcome.issues === undefined) return outcome.value;
  throw refusal(outcome.issues.slice(0, MOST_ISSUES).map((issue) => {
    const keys = (issue.path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment));
    // Schemas quote what they refuse, and operators read of it.
    return { path: pathOf(root, keys), message: holdsRedacted(value, keys, redact) ? "does not fit, and is redacted" : String(issue.message) };
  }));
}

/** An array of a hundred thousand wrong items makes as many issues. */
const MOST_ISSUES = 100;

function unfit({ name }: JobDefinition, root: Root, issues: readonly Issue[]): PayloadError {
  const first = issues.slice(0, 3).map(({ path, message }) => `${path}: ${message.length > 200 ? `${message.slice(0, 200)}…` : message}`);
  const more = issues.length > 3 ? `; and ${issues.length - 3} more` : "";
  return new PayloadError(`the ${root} does not fit job ${shown(name)}: ${first.join("; ")}${more}`, issues);
}

function missing(definition: JobDefinition, issues: readonly Issue[]): PayloadError {
  return new PayloadError(`job ${shown(definition.name)} expects a payload, got undefined`, [{ path: "payload", message: "is undefined" }, ...issues]);
}

/** What stock producers store where there is nothing to say. */
function isNothing(stored: unknown): boolean {
  return stored === null || (typeof stored === "object" && !Array.isArray(stored) && Object.keys(stored).length === 0);
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | null)?.then === "function";
}
