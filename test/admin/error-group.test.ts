import { expect, test } from "vitest";
import { errorPattern, groupOf } from "../../src/admin/error-group.ts";

test.each([
  ["connect ECONNREFUSED 10.0.0.7:6379", "connect ECONNREFUSED <n>:<n>"],
  ["timeout of 5,000 ms exceeded", "timeout of <n> ms exceeded"],
  ["no user 3f2504e0-4f89-41d3-9a0c-0305e82c3301\n  at x", "no user <id>"],
  ["job AaIFSP-2cbyNCeVq8ESIBw is gone", "job <id> is gone"],
  ["charge ch_3NqZ7c2eZvKYlo2C1r failed", "charge <id> failed"],
  ["at 0xdeadbeef of deadbeef01", "at <id> of <id>"],
  ["internationalization is unsupported", "internationalization is unsupported"],
  ["", ""],
])("%j is of the pattern %j", (reason, pattern) => {
  expect(errorPattern(reason)).toBe(pattern);
  expect(groupOf("n", reason)).toBe(groupOf("n", pattern));
});

test("another name or another error is another group; a reason that is none is one", () => {
  expect(new Set([groupOf("a", "x"), groupOf("b", "x"), groupOf("a", "y"), groupOf("a", undefined)]).size).toBe(4);
  expect(groupOf("a", "x")).toMatch(/^[\da-f]{8}$/);
});
