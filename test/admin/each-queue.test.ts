import { expect, test } from "vitest";
import { eachQueue, queueByQueue } from "../../src/admin/each-queue.ts";

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `queue-${i}`);
const turn = (): Promise<void> => new Promise(setImmediate);

test("gives what came of each in the order of the names, whichever was done first, and works on 25 at once", async () => {
  let [running, most] = [0, 0];
  const work = async (name: string): Promise<string> => {
    most = Math.max(most, (running += 1));
    for (let turns = Number(name.slice(6)) % 7; turns >= 0; turns -= 1) await turn();
    running -= 1;
    return name;
  };
  expect(await eachQueue(names(100), work)).toEqual(names(100));
  expect(most).toBe(25);
  expect(await eachQueue([], work)).toEqual([]);
});

test("begins with the first while others are looked for", async () => {
  const begun = Promise.withResolvers<void>();
  async function* found(): AsyncGenerator<string, void> {
    yield "first";
    await begun.promise;
    yield "second";
  }
  expect(await eachQueue(found(), (name) => Promise.resolve(begun.resolve()).then(() => name))).toEqual(["first", "second"]);
});

test("gives what is done while others are looked for, and looks for no more when nobody asks", async () => {
  const taken = Promise.withResolvers<void>();
  let isOver = false;
  async function* found(): AsyncGenerator<string, void> {
    try {
      yield "first";
      await taken.promise;
      for (;;) yield "others";
    } finally {
      isOver = true;
    }
  }
  for await (const name of queueByQueue(found(), async (name) => (await turn(), name))) {
    if (name !== "first") break;
    taken.resolve();
  }
  expect(isOver).toBe(true);
});

test("throws the first error, and begins no other queue after it", async () => {
  const begun: string[] = [];
  const work = async (name: string): Promise<void> => {
    begun.push(name);
    await turn();
    if (name === "queue-3") throw new Error("no such queue");
  };
  await expect(eachQueue(names(1000), work)).rejects.toThrow("no such queue");
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(begun.length).toBeLessThan(60);
});
