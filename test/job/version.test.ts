import { expect, test } from "vitest";
import { defineJob, definitionOf, typed } from "../../src/job/contract.ts";
import { versionRelation } from "../../src/job/version.ts";

test("tells how a stored version relates to a contract", () => {
  const definition = definitionOf(defineJob("page", { version: 4, payload: typed<number>(), previous: { 1: typed<number>(), 3: typed<number>() } }));
  expect([1, 2, 3, 4, 5].map((version) => versionRelation(definition, version))).toEqual(["older", "unknown", "older", "same", "newer"]);
  expect(versionRelation(definition, undefined)).toBe("same");
});
