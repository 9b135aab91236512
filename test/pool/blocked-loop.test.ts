import { expect, test } from "vitest";
import { defineHandler, defineJob, sleep, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";

const job = defineJob("work", { payload: typed<{ blockMs: number; waitMs: number }>() });
const handler = defineHandler(job, {
  async handle({ blockMs, waitMs }, { signal }) {
    await sleep(10);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
    await sleep(waitMs, { signal }).catch(() => {});
  },
});

test("a handler that blocks the event loop for a second is told in the log, though it has ended when the loop turns again", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  app.pool([handler], { concurrency: 1 });
  const handle = await app.put(job, { blockMs: 1300, waitMs: 0 });
  await handle.result();
  await until(() => log.lines.some(({ message }) => message.includes("blocked")));
  const told = log.lines.find(({ message }) => message.includes(`by work ${handle.id}`));
  expect(told).toMatchObject({ level: "warn", fields: { tasks: [`work ${handle.id}`] } });
  expect(told!.fields["ms"]).toBeGreaterThanOrEqual(1290);
});

test("where several may have done it, all of them are named; waiting is no block", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const pool = app.pool([handler], { concurrency: 2 });
  const [waits, blocks] = [await app.put(job, { blockMs: 0, waitMs: 600_000 }), await app.put(job, { blockMs: 1300, waitMs: 0 })];
  await blocks.result();
  await until(() => log.lines.some(({ message }) => message.includes("blocked")));
  const told = log.lines.find(({ message }) => message.includes("by one of"));
  expect(told?.fields["tasks"]).toEqual([`work ${blocks.id}`, `work ${waits.id}`]);
  const { length } = log.lines.filter(({ message }) => message.includes(waits.id));
  await sleep(1500);
  expect(log.lines.filter(({ message }) => message.includes(waits.id))).toHaveLength(length);
  await pool.cancel();
});
