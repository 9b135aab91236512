import * as fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import { OptionError } from "../src/errors.ts";
import { check, checkOptions, durationMs, LONGEST_MS, shown, suggest } from "../src/options.ts";

const hostile = Object.freeze({
  get toJSON(): never {
    throw new Error("touched");
  },
  toString: () => {
    throw new Error("touched");
  },
});
const unreadable = new Proxy(
  {},
  {
    getPrototypeOf() {
      throw new Error("touched");
    },
  },
);

test.each([
  [0, 0],
  [500, 500],
  [0.4, 0],
  ["0s", 0],
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5h", 5_400_000],
  ["2m", 120_000],
  ["7d", 604_800_000],
  ["0.0015s", 2],
  [LONGEST_MS, LONGEST_MS],
])("takes %j as a duration of %i ms", (value, ms) => {
  expect(durationMs(value, "delay")).toBe(ms);
});

test.each([
  -1, -0.1, Number.NaN, Infinity, -Infinity, LONGEST_MS + 1, "36600d", "1e15ms", "", "30", "30 s", "1 hour", "-5s", "+5s", "0x10s", ".5s", "5.s",
  "1h30m", "30S", "Infinitys", `${"9".repeat(400)}d`, null, undefined, true, {}, new Date(), 5n, Symbol("x"), () => 5,
])("refuses %o as a duration", (value) => {
  expect(() => durationMs(value, "delay")).toThrow(OptionError);
  expect(() => durationMs(value, "delay")).toThrow(/^expected a duration such as 500 or "30s" for delay, got /);
});

test("refuses a duration that cannot even be looked at", () => {
  for (const value of [[], [5], hostile, unreadable]) expect(() => durationMs(value, "delay")).toThrow(OptionError);
});

test("holds a duration to its range, and says the range", () => {
  expect(durationMs("5s", "lease", { min: 1000, max: 60_000 })).toBe(5000);
  expect(() => durationMs("500ms", "lease", { min: 1000 })).toThrow('expected a duration of at least 1s for lease, got "500ms"');
  expect(() => durationMs("2m", "lease", { min: 1000, max: 60_000 })).toThrow('expected a duration from 1s to 1m for lease, got "2m"');
  expect(() => durationMs(0, "lease", { max: -1 })).toThrow("from 0ms to -1ms");
});

test("a duration of whole units is exact in every unit", () => {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 36_000 }), fc.constantFrom("ms" as const, "s" as const, "m" as const, "h" as const, "d" as const), (n, unit) => {
      expect(durationMs(`${n}${unit}`, "delay")).toBe(n * units[unit]);
    }),
  );
});

test.each([
  [0, 0],
  [500_000_000, 500_000_000],
  ["64kb", 65_536],
  ["512mb", 536_870_912],
  ["1.5GB", 1_610_612_736],
])("takes %j as a size of %i bytes", (value, bytes) => {
  expect(check.size()(value, "maxRss")).toBe(bytes);
});

test.each([-1, 1.5, Number.NaN, Infinity, "512", "512 mb", "512m", "512Mi", "-1mb", "9999999999gb", "", null, undefined, true, {}, 5n])("refuses %o as a size", (value) => {
  expect(() => check.size()(value, "maxRss")).toThrow(/^expected a size such as 500000000 or "512mb" for maxRss, got /);
});

test("holds a size to its least", () => {
  expect(() => check.size({ min: 1024 })("0.5kb", "maxRss")).toThrow('expected a size such as 500000000 or "512mb" of at least 1024 bytes for maxRss, got "0.5kb"');
});

const known = {
  id: check.string(),
  delay: check.duration(),
  attempts: check.integer({ min: 1 }),
  lifo: check.boolean(),
  runAt: check.date(),
  signal: check.signal(),
  ratio: check.number({ min: 0, max: 1 }),
  type: check.oneOf("exponential", "fixed"),
  keep: check.nested({ count: check.integer({ min: 0 }) }),
  handle: check.callback<(n: number) => string>(),
};

test("gives what was given, checked and frozen, with durations in milliseconds", () => {
  const runAt = new Date(5);
  const { signal } = new AbortController();
  const handle = String;
  const checked = checkOptions("put", { id: "a", delay: "1s", attempts: 2, lifo: true, runAt, signal, ratio: 0.5, type: "fixed", keep: { count: 0 }, handle }, known);
  expect(checked).toEqual({ id: "a", delay: 1000, attempts: 2, lifo: true, runAt, signal, ratio: 0.5, type: "fixed", keep: { count: 0 }, handle });
  expect(Object.isFrozen(checked)).toBe(true);
  expect(Object.isFrozen(checked.keep)).toBe(true);
  expectTypeOf(checked.delay).toEqualTypeOf<number | undefined>();
  expectTypeOf(checked.type).toEqualTypeOf<"exponential" | "fixed" | undefined>();
  expectTypeOf(checked.keep?.count).toEqualTypeOf<number | undefined>();
});

test("an option that is undefined is absent, and no options at all are none", () => {
  expect(checkOptions("put", { id: undefined }, known)).toStrictEqual({});
  expect(checkOptions("put", undefined, known)).toStrictEqual({});
});

test("takes options that an object inherits", () => {
  expect(checkOptions("put", Object.create({ delay: 5 }), known)).toEqual({ delay: 5 });
});

test.each([[null], [5], ["x"], [[]], [() => 5], [true]])("refuses %j in place of options", (value) => {
  expect(() => checkOptions("put", value, known)).toThrow(/^expected an object with the options of put, got /);
});

test.each([
  [{ dealy: 1 }, 'unknown option "dealy" of put: did you mean delay?'],
  [{ Attempts: 1 }, 'unknown option "Attempts" of put: did you mean attempts?'],
  [{ colour: 1 }, /^unknown option "colour" of put: expected one of id, delay, /],
  [{ constructor: 1 }, /^unknown option "constructor" of put: expected one of/],
  [JSON.parse('{"__proto__": 1}'), /^unknown option "__proto__" of put/],
  [{ ["x".repeat(10_000)]: 1 }, /^unknown option "x{60}…" of put/],
  [{ keep: { cuont: 1 } }, 'unknown option "cuont" of keep of put: did you mean count?'],
  [{ inherited: undefined }, /^unknown option "inherited" of put/],
])("names an unknown option and the one that was meant: %o", (options, message) => {
  expect(() => checkOptions("put", options, known)).toThrow(OptionError);
  expect(() => checkOptions("put", options, known)).toThrow(message);
});

test.each([
  [{ attempts: 0 }, "expected a whole number of at least 1 for attempts of put, got 0"],
  [{ attempts: -1 }, "expected a whole number of at least 1 for attempts of put, got -1"],
  [{ attempts: 2.5 }, "got 2.5"],
  [{ attempts: "3" }, 'got "3"'],
  [{ attempts: Number.NaN }, "got NaN"],
  [{ attempts: 2 ** 53 }, "got 9007199254740992"],
  [{ attempts: 3n }, "got a bigint"],
  [{ ratio: 1.5 }, "expected a number from 0 to 1 for ratio of put, got 1.5"],
  [{ ratio: Infinity }, "got Infinity"],
  [{ id: "" }, 'expected a non-empty string for id of put, got ""'],
  [{ id: 5 }, "got 5"],
  [{ lifo: 1 }, "expected true or false for lifo of put, got 1"],
  [{ runAt: new Date(Number.NaN) }, "expected a valid Date for runAt of put, got an invalid Date"],
  [{ runAt: 5 }, "got 5"],
  [{ signal: {} }, "expected an AbortSignal for signal of put, got an object"],
  [{ signal: new AbortController() }, "got an instance of AbortController"],
  [{ type: "exponentail" }, 'expected "exponential" or "fixed" for type of put, got "exponentail": did you mean "exponential"?'],
  [{ type: 5 }, 'expected "exponential" or "fixed" for type of put, got 5'],
  [{ handle: {} }, "expected a function for handle of put, got an object"],
  [{ keep: 5 }, "expected an object with the options of keep of put, got 5"],
])("says what was expected and what came: %o", (options, message) => {
  expect(() => checkOptions("put", options, known)).toThrow(OptionError);
  expect(() => checkOptions("put", options, known)).toThrow(message);
});

test("says how long a string may be", () => {
  expect(() => check.string({ min: 2, max: 4 })("x", "code")).toThrow('expected a string of 2 to 4 characters for code, got "x"');
  expect(check.string({ min: 0 })("", "code")).toBe("");
  expect(() => check.string({ min: 0 })(5, "code")).toThrow("expected a string for code");
});

test.each([
  ["dealy", "delay"],
  ["atempts", "attempts"],
  ["PRIORITY", "priority"],
  ["work", "worker"],
  ["lif", "lifo"],
  ["prioritised", undefined],
  ["x", undefined],
  ["colour", undefined],
  ["", undefined],
  ["d".repeat(100_000), undefined],
])("for %j suggests %j", (word, suggestion) => {
  expect(suggest(word, ["delay", "attempts", "priority", "worker", "lifo", "id"])).toBe(suggestion);
});

test("suggests a known word for itself with one letter changed, and the nearest of several", () => {
  expect(suggest("counts", ["count", "counts"])).toBe("counts");
  expect(suggest("anything", [])).toBeUndefined();
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{5,12}$/), fc.nat(), (word, at) => {
      const i = at % word.length;
      expect(suggest(`${word.slice(0, i)}-${word.slice(i + 1)}`, ["0000000000000000", word])).toBe(word);
    }),
  );
});

test.each([
  ["a\nb", '"a\\nb"'],
  ["x".repeat(1000), `"${"x".repeat(60)}…"`],
  [-0, "-0"],
  [null, "null"],
  [undefined, "undefined"],
  [10n ** 1000n, "a bigint"],
  [Symbol("secret"), "a symbol"],
  [() => "secret", "a function"],
  [[1, 2, 3], "an array of 3"],
  [new Date(0), "the Date 1970-01-01T00:00:00.000Z"],
  [new Map(), "an instance of Map"],
  [{ password: "secret" }, "an object"],
  [Object.create(null), "an object"],
])("shows a value in a message, short and safe", (value, text) => {
  expect(shown(value)).toBe(text);
});

test("shows a value without running its code", () => {
  expect(shown(hostile)).toBe("an object");
  expect(shown(unreadable)).toBe("an object that cannot be read");
});
