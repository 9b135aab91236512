import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PayloadError } from "../../src/errors.ts";
import { DEEPEST, fromJson, LIMIT_BYTES, pathOf, toJson } from "../../src/job/json.ts";

class Money {
  readonly cents = 5;
}

function refusal(value: unknown, limitBytes?: number): PayloadError {
  try {
    toJson(value, "payload", limitBytes);
  } catch (error) {
    if (error instanceof PayloadError) return error;
    throw error;
  }
  throw new Error("was taken");
}

const sparse: unknown[] = [1];
sparse[2] = 3;
const match = /b/.exec("abc");
const cycle: Record<string, unknown> = { deep: {} };
(cycle["deep"] as Record<string, unknown>)["back"] = cycle;
const ring: unknown[] = [[]];
(ring[0] as unknown[]).push(ring[0]);

test.each<[string, () => unknown, string]>([
  ["undefined", () => undefined, "payload is undefined: take null"],
  ["a function", () => ({ f() {} }), "payload.f is a function: take data"],
  ["a class", () => Money, "payload is a function"],
  ["a symbol", () => [Symbol("x")], "payload[0] is a symbol"],
  ["a bigint", () => ({ a: { b: 5n } }), "payload.a.b is a bigint: take a string"],
  ["NaN", () => ({ price: Number.NaN }), "payload.price is NaN"],
  ["Infinity", () => -Infinity, "payload is -Infinity"],
  ["2^53", () => [2 ** 53], "payload[0] is an integer beyond 2^53, where digits are lost: take a string"],
  ["an id of 64 bits", () => ({ id: Number(-1_234_567_890_123_456_789n) }), "payload.id is an integer beyond 2^53"],
  ["a Date", () => ({ items: [0, 1, 2, { when: new Date() }] }), "payload.items[3].when is a Date: "],
  ["a Map", () => ({ m: new Map() }), "payload.m is a Map: "],
  ["a Set", () => new Set(), "payload is a Set: "],
  ["a Promise", () => ({ body: Promise.resolve() }), "payload.body is a Promise: await it first"],
  ["a Buffer", () => ({ b: Buffer.from("x") }), "payload.b is binary: take a base64 string"],
  ["a typed array", () => new Float64Array(1), "payload is binary"],
  ["an ArrayBuffer", () => new ArrayBuffer(1), "payload is binary"],
  ["an instance", () => ({ price: new Money() }), "payload.price is an instance of Money: take a plain object"],
  ["an Error", () => new RangeError("x"), "payload is an instance of RangeError"],
  ["a boxed string", () => Object("x"), "payload is an instance of String"],
  ["an array of a class of its own", () => new (class Stack extends Array {})(), "payload is an instance of Stack"],
  ["an object with a prototype of its own", () => Object.create({ a: 1 }), "payload has a prototype of its own"],
  ["an object whose class is hidden", () => Object.create({ constructor: undefined }), "payload has a prototype of its own"],
  ["toJSON", () => ({ at: Object.defineProperty({}, "toJSON", { value: () => 1 }) }), "payload.at has toJSON: take what it gives"],
  ["toJSON of an array", () => Object.defineProperty([], "toJSON", { value: () => 1 }), "payload has toJSON"],
  ["undefined in an array", () => ({ a: [1, undefined] }), "payload.a[1] is undefined: take null"],
  ["a hole", () => sparse, "payload[1] is a hole: take null"],
  ["a huge empty array", () => Array.from({ length: 0 }).concat(Object.assign([], { length: 2 ** 32 - 1 })), "payload[0] is a hole"],
  ["names on an array", () => ({ match }), "payload.match has names beside its items: take an object"],
  ["a symbol as key", () => ({ a: { [Symbol("k")]: 1 } }), "payload.a has a symbol as key: take a string"],
  ["a symbol as key of an array", () => Object.assign([1], { [Symbol("k")]: 1 }), "payload has a symbol as key"],
  ["a circle", () => ({ a: cycle }), "payload.a.deep.back is circular: it is payload.a again"],
  ["a circle at the root", () => cycle, "payload.deep.back is circular: it is payload again"],
  ["a circle of arrays", () => ring, "payload[0][0] is circular: it is payload[0] again"],
  [
    "a getter that throws",
    () => ({
      get secret() {
        throw new Error("not now");
      },
    }),
    "payload cannot be read: not now",
  ],
  ["a proxy that throws", () => new Proxy({}, { ownKeys: () => Reflect.ownKeys(null as never) }), "payload cannot be read: "],
])("refuses %s and names the path", (_, make, message) => {
  const error = refusal(make());
  expect(error.message).toContain(message);
  expect(error.message.startsWith(error.issues[0]?.path ?? "-")).toBe(true);
  expect(error.issues).toHaveLength(1);
});

test.each<[string, unknown, string]>([
  ["an undefined property", { a: 1, b: undefined }, '{"a":1}'],
  ["-0, as 0", [-0], "[0]"],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  ["null", null, "null"],
  ["an empty text", "", '""'],
  ["half a surrogate pair", "\ud800", '"\\ud800"'],
  ["the largest safe integer", Number.MAX_SAFE_INTEGER, "9007199254740991"],
  ["a number that is no integer in anybody's mind", [6.022e23, 1e21, 5e-324, Number.MAX_VALUE], "[6.022e+23,1e+21,5e-324,1.7976931348623157e+308]"],
  ["a key that reads as an index", { 1: "b", 0: "a" }, '{"0":"a","1":"b"}'],
  ["one object twice", [cycle["none"] ?? null, ...Array.from({ length: 2 }, () => null)], "[null,null,null]"],
])("takes %s", (_, value, json) => {
  expect(toJson(value, "payload")).toBe(json);
});

test("takes a key named __proto__ and gives it back as a key", () => {
  const value = JSON.parse('{"__proto__": {"admin": true}, "a": [{"__proto__": 1}]}') as object;
  const back = fromJson(toJson(value, "payload"), "payload") as { admin?: boolean };
  expect(Object.keys(back)).toEqual(["__proto__", "a"]);
  expect(back.admin).toBeUndefined();
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
});

test("takes plain objects of another realm, and refuses its Dates", async () => {
  const { runInNewContext } = await import("node:vm");
  expect(toJson(runInNewContext("({ a: [{ b: 1 }] })"), "payload")).toBe('{"a":[{"b":1}]}');
  expect(refusal(runInNewContext("({ a: new Date(0) })")).message).toContain("payload.a is an instance of Date");
  expect(refusal(runInNewContext("(new (class Stack extends Array {})())")).message).toContain("payload is an instance of Stack");
});

test("is not led astray by what others add to Object.prototype", () => {
  const prototype = Object.prototype as { added?: unknown };
  let json: string;
  prototype.added = () => 1;
  try {
    json = toJson({ a: 1 }, "payload");
  } finally {
    delete prototype.added;
  }
  expect(json).toBe('{"a":1}');
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

test("takes deep nesting to a limit, and says so instead of overflowing the stack", () => {
  expect(fromJson(toJson(nested(DEEPEST), "payload"), "payload")).toEqual(nested(DEEPEST));
  expect(refusal(nested(100_000)).message).toMatch(/^payload\S{1,20}… is nested deeper than 500 levels$/);
});

test("counts the limit in bytes of UTF-8, to the byte", () => {
  for (const text of ["a".repeat(96), "é".repeat(48), "€".repeat(32), "😀".repeat(24), `${"a".repeat(90)}\ud800`]) {
    expect(Buffer.byteLength(toJson(text, "payload", 98))).toBe(98);
    const { message } = refusal(`${text}a`, 98);
    expect(message).toMatch(/^payload is (99|more than 98) bytes of JSON, above the limit of 98: store the bulk elsewhere/);
  }
});

test("takes a mebibyte unless told otherwise", () => {
  expect(toJson("x".repeat(LIMIT_BYTES - 2), "payload")).toHaveLength(1_048_576);
  expect(refusal("x".repeat(LIMIT_BYTES - 1)).message).toContain("1048576");
});

test("refuses what is far too large without writing it out", () => {
  let shared: unknown = ["x"];
  for (let level = 0; level < 100; level += 1) shared = [shared, shared];
  const startedAt = performance.now();
  expect(refusal(shared).message).toContain("payload is more than 1048576 bytes");
  expect(refusal({ a: "x".repeat(500_000_000) }).message).toContain("payload is more than 1048576 bytes");
  expect(refusal({ a: "x".repeat(2_000_000), cycle }).message).toContain("payload is more than");
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test("keeps count of each value by itself when a getter encodes another", () => {
  const value = {
    get inner() {
      return toJson("x".repeat(500), "payload", 1000);
    },
    rest: "y".repeat(300),
  };
  expect(toJson(value, "payload", 1000)).toBe(JSON.stringify(value));
});

test("says that a text is no JSON", () => {
  for (const text of ["", "{", "undefined", "[1,]", "'a'"]) expect(() => fromJson(text, "payload")).toThrow(PayloadError);
});

test.each<[PropertyKey[], string]>([
  [[], "payload"],
  [["items", 3, "when"], "payload.items[3].when"],
  [["first name", "a.b", "", "0"], 'payload["first name"]["a.b"][""]["0"]'],
  [["größe", "$ref", "_id"], "payload.größe.$ref._id"],
  [['"\n'], 'payload["\\"\\n"]'],
  [["k".repeat(1000)], `payload["${"k".repeat(60)}…"]`],
  [[Symbol("secret")], "payload[a symbol]"],
])("writes the path %j as %s", (keys, path) => {
  expect(pathOf("payload", keys)).toBe(path);
});

test("every JSON value comes back exactly", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const value: unknown = JSON.parse(text, (_, item: unknown) => (isHugeInteger(item) ? 0 : item));
      expect(fromJson(toJson(value, "payload"), "payload")).toStrictEqual(minusZeroAsZero(value));
    }),
    { numRuns: 10_000 },
  );
});

test("what is taken comes back equal, whatever it is", () => {
  let taken = 0;
  const anything = fc.anything({
    maxDepth: 3,
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: true,
    withNullPrototype: true,
    withBoxedValues: true,
    withObjectString: true,
    withUnicodeString: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      let json: string;
      try {
        json = toJson(value, "payload");
      } catch (error) {
        expect(error).toBeInstanceOf(PayloadError);
        return;
      }
      taken += 1;
      expect(Buffer.byteLength(json)).toBeLessThanOrEqual(LIMIT_BYTES);
      expect(fromJson(json, "payload")).toEqual(minusZeroAsZero(value));
    }),
    { numRuns: 10_000 },
  );
  expect(taken).toBeGreaterThan(1000);
});

function isHugeInteger(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value as number) < 1e21;
}

function minusZeroAsZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => minusZeroAsZero(item));
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    Object.defineProperty(copy, key, { value: minusZeroAsZero(item), enumerable: true, writable: true, configurable: true });
  }
  return copy;
}
