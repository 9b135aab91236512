import { expect, test } from "vitest";
import { readAhead } from "../../src/admin/read-ahead.ts";

test("reads one item further than it gives, and no more, and ends the reading where nobody goes on", async () => {
  const told: string[] = [];
  async function* numbers(): AsyncGenerator<number, void> {
    try {
      for (let next = 0; ; next += 1) {
        told.push(`read ${next}`);
        yield await Promise.resolve(next);
      }
    } finally {
      told.push("ended");
    }
  }
  for await (const number of readAhead(numbers())) {
    told.push(`use ${number}`);
    if (number === 1) break;
  }
  expect(told).toEqual(["read 0", "read 1", "use 0", "read 2", "use 1", "ended"]);
});

test("throws what cannot be read when all before it was given", async () => {
  async function* broken(): AsyncGenerator<number, void> {
    yield await Promise.resolve(0);
    throw new Error("no answer");
  }
  const given: number[] = [];
  const using = (async () => {
    for await (const number of readAhead(broken())) {
      await new Promise(setImmediate); // it has failed by now, and nobody waits for it
      given.push(number);
    }
  })();
  await expect(using).rejects.toThrow("no answer");
  expect(given).toEqual([0]);
});
