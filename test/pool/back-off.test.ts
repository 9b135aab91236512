import { expect, test } from "vitest";
import { BackOff } from "../../src/pool/back-off.ts";

test("the first short life costs nothing, each further one twice the pause of the one before, up to 30 s", () => {
  const backOff = new BackOff();
  expect(Array.from({ length: 9 }, () => backOff.pauseAfterMs(100))).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test("a life of a minute makes good for the short ones", () => {
  const backOff = new BackOff();
  for (let lives = 0; lives < 5; lives += 1) backOff.pauseAfterMs(0);
  expect([backOff.pauseAfterMs(60_000), backOff.pauseAfterMs(59_999), backOff.pauseAfterMs(0)]).toEqual([0, 0, 500]);
});
