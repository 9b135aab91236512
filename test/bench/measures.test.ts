import { expect, test } from "vitest";
import { quantities, sidesOf } from "./measure.ts";
import { measures, measuresOf } from "./measures.ts";

test("a word chooses the measure of that name, or else all that begin with it", () => {
  expect(measuresOf("consume-100").map(({ name }) => name)).toEqual(["consume-100"]);
  expect(measuresOf("put").map(({ name }) => name)).toEqual(["put-1", "put-100", "put-1000", "put-many"]);
  expect(measuresOf("consum")).toEqual([]);
});

test("every name and title is given once, and every goal is of a quantity that is read", () => {
  for (const key of ["name", "title"] as const) expect(new Set(measures.map((measure) => measure[key])).size).toBe(measures.length);
  for (const measure of measures) {
    const known = quantities[measure.first.work.kind].map(({ key }) => key);
    for (const { quantity } of [...measure.goals, ...measure.others.flatMap(({ goals }) => goals)]) expect(known).toContain(quantity);
    expect(new Set(sidesOf(measure).map(({ label }) => label)).size).toBe(sidesOf(measure).length);
  }
});
