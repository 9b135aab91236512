import { expect, test } from "vitest";
import { checkArgs, isVerb } from "../../src/control/verbs.ts";

test("takes what a verb needs, and leaves the rest", () => {
  expect(checkArgs("scale", { concurrency: 3, ofTomorrow: true })).toEqual({ concurrency: 3 });
  expect(checkArgs("log-level", { level: "debug" })).toEqual({ level: "debug" });
  expect(checkArgs("debug", { on: false })).toEqual({ on: false });
  expect(checkArgs("ping", undefined)).toEqual({});
});

test.each([
  ["scale", {}],
  ["scale", { concurrency: 0 }],
  ["scale", { concurrency: 1e9 }],
  ["profile", { seconds: 61 }],
  ["profile", { seconds: "10" }],
  ["log-level", { level: "loud" }],
  ["debug", { on: "on" }],
  ["debug", {}],
] as const)("refuses %s with %j", (verb, args) => {
  expect(() => checkArgs(verb, args)).toThrow(expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining(`of ${verb}`) as string }) as Error);
});

test("knows its verbs, and nothing that objects have besides", () => {
  expect(["ping", "log-level"].every(isVerb)).toBe(true);
  expect(["drain", "toString", "__proto__", "constructor"].some(isVerb)).toBe(false);
});
