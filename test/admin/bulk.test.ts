import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { inBulk, type Verb } from "../../src/admin/bulk.ts";
import { defineJob, defineQueue, typed } from "../../src/job/contract.ts";
import { JOB_STATES } from "../../src/job/state.ts";
import { testApp } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("reaches the jobs of every partition, by a filter and by ids, wherever they are", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  const queue = app.queue(defineJob("n", { queue: defineQueue("work", { partitions: 3 }), payload: typed<number>() }));
  const ids = (await Promise.all(Array.from({ length: 12 }, (_, i) => queue.put(i)))).map(({ id }) => id);
  const applied: [prefix: string, ids: readonly string[]][] = [];
  const verb: Verb = { command: "job look", states: JOB_STATES, takes: () => false, apply: async ({ prefix }, _, ids) => (applied.push([prefix, ids]), new Set(ids)) };
  expect(await inBulk(operator, verb, "work", { name: "n" })).toEqual({ queue: "work", dryRun: false, matched: 12, changed: 12, skipped: [] });
  expect(applied.map(([prefix]) => prefix)).toEqual([0, 1, 2].map((i) => `{${operator.prefix}-${i}}`));
  expect(applied.flatMap(([, ids]) => ids).toSorted()).toEqual(ids.toSorted());
  expect(await inBulk(operator, verb, "work", { ids: [...ids, "gone"] })).toMatchObject({ matched: 12, changed: 12, skipped: [{ id: "gone" }] });
  expect(await all(audit(operator))).toMatchObject([{ outcome: "done", touched: 12 }, { outcome: "failed", touched: 12, error: 'STATE_INVALID: 1 of 13 jobs could not be: of "gone", there is no such job' }]);
});
