import { expect, test } from "vitest";
import type { Operator } from "../../src/admin/operator.ts";
import { findWorkers, listStockWorkers, listWorkers } from "../../src/admin/workers.ts";
import { register } from "../../src/control/registry.ts";
import { failure } from "../support/outcome.ts";
import { entryOf } from "../control/control.ts";
import { stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { testOperator } from "./opened-operator.ts";

async function fleet(): Promise<Operator> {
  const operator = testOperator();
  await operator.ready();
  const { connections } = operator;
  await register(connections, entryOf("abcd2222", { name: "mill.1", supervisor: 9, place: 1, pid: 11, startedAt: 1 }), []);
  await register(connections, entryOf("abzz3333", { name: "mill.2", supervisor: 9, place: 2, pid: 12, startedAt: 2 }), []);
  await register(connections, entryOf("kkkk4444", { name: "press", pid: 13, startedAt: 3 }), []);
  await register(connections, entryOf("pppp5555", { name: "press", pid: 14, startedAt: 4 }), []);
  return operator;
}

test("lists what runs, oldest first, and how long", async () => {
  const operator = await fleet();
  const workers = await listWorkers(operator);
  expect(workers.map(({ id }) => id)).toEqual(["abcd2222", "abzz3333", "kkkk4444", "pppp5555"]);
  expect(workers[0]?.upMs).toBeGreaterThan(1_000_000);
  expect(await listWorkers(testOperator())).toEqual([]);
});

test.each([
  ["its id", ["abcd2222"], ["abcd2222"]],
  ["the beginning of its id", ["k"], ["kkkk4444"]],
  ["a name, which two have", ["press"], ["kkkk4444", "pppp5555"]],
  ["the name of one process of a supervisor", ["mill.2"], ["abzz3333"]],
  ["the name of a supervisor's processes", ["mill"], ["abcd2222", "abzz3333"]],
  ["host and pid", ["mill:13"], ["kkkk4444"]],
  ["several, one of them twice", ["p", "press", "abz"], ["pppp5555", "kkkk4444", "abzz3333"]],
  ["all", "all", ["abcd2222", "abzz3333", "kkkk4444", "pppp5555"]],
] as const)("finds workers by %s", async (_, words, found) => {
  const operator = await fleet();
  expect((await findWorkers(operator, words)).map(({ id }) => id)).toEqual(found);
});

test("refuses what names none, several by a beginning, or nobody that runs", async () => {
  const operator = await fleet();
  const error = async (words: readonly string[]) => (await failure(findWorkers(operator, words))).error;
  expect(await error([])).toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining("--all") as string });
  expect(await error([""])).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(["ab"])).toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining("abcd2222 (mill.1), abzz3333 (mill.2)") as string });
  expect(await error(["press", "pres"])).toMatchObject({ code: "NOT_FOUND", message: 'no worker is called "pres": did you mean press?' });
  expect((await failure(findWorkers(testOperator(), ["press"]))).error).toMatchObject({ code: "NOT_FOUND", message: 'no worker is called "press": none runs' });
});

test("tells of stock workers by their queues", async () => {
  const operator = testOperator();
  expect(await listStockWorkers(operator)).toEqual([]);
  for (const queue of ["post", "mail", "post"]) await stockWorker(operator.prefix, () => Promise.resolve(), {}, queue);
  let found: unknown;
  await until(async () => (found = await listStockWorkers(operator)) && JSON.stringify(found) === '[{"queue":"mail","workers":1},{"queue":"post","workers":2}]').catch(() => expect(found).toBe("both queues"));
});
