import { expect, test, vi } from "vitest";
import { Gathered } from "../../src/store/gathered.ts";

/** Gathers numbers; every batch stays on its way until it is let go. */
function gathering(largest = 100, largestBytes = 1_000_000, halvedFrom?: number) {
  const batches: { readonly rows: readonly number[]; letGo(): void; fail(error: unknown): void }[] = [];
  const gathered = new Gathered<number, string>({
    largest,
    largestBytes,
    ...(halvedFrom !== undefined && { halvedFrom }),
    bytesOf: (row) => row,
    send: (rows) => new Promise((resolve, reject) => batches.push({ rows, letGo: () => resolve(rows.map((row) => `answer ${row}`)), fail: reject })),
  });
  const rows = (): (readonly number[])[] => batches.map((batch) => batch.rows);
  return { gathered, batches, rows };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what is asked for in one turn goes in one batch, also by those whom its promises wake", async () => {
  const { gathered, rows } = gathering();
  void gathered.add(1);
  void Promise.resolve().then(() => Promise.resolve().then(() => void gathered.add(2)));
  await turn();
  expect(rows()).toEqual([[1, 2]]);
});

test("everybody gets an answer of their own", async () => {
  const { gathered, batches } = gathering();
  const asked = Promise.all([gathered.add(1), gathered.add(2)]);
  await turn();
  batches[0]!.letGo();
  expect(await asked).toEqual(["answer 1", "answer 2"]);
});

test("while one is on its way it waits for the loop to turn, and gathers what comes meanwhile", async () => {
  const { gathered, rows } = gathering();
  void gathered.add(1);
  await new Promise((resolve) => process.nextTick(resolve));
  expect(rows()).toEqual([[1]]);
  void gathered.add(2);
  await new Promise((resolve) => process.nextTick(resolve));
  void gathered.add(3);
  expect(rows()).toEqual([[1]]);
  await turn();
  expect(rows()).toEqual([[1], [2, 3]]);
});

test("batches are bounded by rows and by bytes; one row goes whatever its size", async () => {
  const { gathered, rows } = gathering(2, 10);
  for (const row of [1, 1, 1, 8, 5, 50]) void gathered.add(row);
  for (let i = 0; i < 6; i += 1) await turn();
  expect(rows()).toEqual([[1, 1], [1, 8], [5], [50]]);
});

test("many go in two halves where nothing is on its way, and together behind another", async () => {
  const { gathered, batches, rows } = gathering(100, 1000, 3);
  for (const row of [1, 2, 3]) void gathered.add(row);
  await turn();
  await turn();
  expect(rows()).toEqual([[1, 2], [3]]);
  for (const row of [4, 5, 6]) void gathered.add(row);
  await turn();
  expect(rows().slice(2)).toEqual([[4, 5, 6]]);
  for (const batch of batches) batch.letGo();
  await turn();
  for (const row of [7, 8]) void gathered.add(row);
  await turn();
  expect(rows().slice(3)).toEqual([[7, 8]]);
});

test("a flush sends all of it now, in order", () => {
  const { gathered, rows } = gathering(2);
  for (const row of [1, 2, 3]) void gathered.add(row);
  gathered.flush();
  expect(rows()).toEqual([[1, 2], [3]]);
});

test("a batch that fails fails for each that is in it, and for no other", async () => {
  const { gathered, batches } = gathering(2);
  const asked = Promise.allSettled([1, 2, 3].map((row) => gathered.add(row)));
  gathered.flush();
  batches[0]!.fail(new Error("no"));
  batches[1]!.letGo();
  expect((await asked).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
});

test("a test of somebody's own that stops the clock does not stop it", async () => {
  const immediate = globalThis.setImmediate;
  const { gathered, rows } = gathering();
  vi.useFakeTimers({ toFake: ["setImmediate"] });
  try {
    void gathered.add(1);
    await new Promise<void>((resolve) => immediate(resolve));
    void gathered.add(2);
    await new Promise<void>((resolve) => immediate(resolve));
    await new Promise<void>((resolve) => immediate(resolve));
  } finally {
    vi.useRealTimers();
  }
  expect(rows()).toEqual([[1], [2]]);
});
