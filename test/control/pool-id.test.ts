import { expect, test } from "vitest";
import { newPoolId } from "../../src/control/pool-id.ts";

test("is eight letters that nobody mistakes, and another one each time", () => {
  const ids = Array.from({ length: 1000 }, newPoolId);
  for (const id of ids) expect(id).toMatch(/^[2-9bcdfghjkmnpqrstvwxz]{8}$/);
  expect(new Set(ids).size).toBe(1000);
});
