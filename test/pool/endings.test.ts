import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until, type RecordedLog } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<object>(), attempts: 2, backoff: { type: "fixed", base: 0 } });
const messages = ({ lines }: RecordedLog) => lines.filter(({ fields }) => "fence" in fields).map(({ level, message }) => `${level}: ${message}`);

test("what comes too late is counted, and told with what was tried", async () => {
  const [prefix, log] = [freshPrefix(), recordedLog()];
  const app = testApp({ prefix, log });
  const redis = redisClient();
  const handler = defineHandler(job, { handle: async (_, { id }) => void (await redis.set(`${prefix}:work:${id}:lock`, "another")) });
  const pool = app.pool([handler], { lease: "10m" });
  await app.put(job, {});
  await until(() => pool.refused === 1);
  expect(messages(log)).toEqual(["warn: ack refused: its lease had passed on"]);
  await pool.stop();
  expect(pool.ended).toBe(1);
});

test("a job that is to be cancelled ends so, whatever its attempt came to, and is told once", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const running = Promise.withResolvers<void>();
  const failing = Promise.withResolvers<never>();
  const pool = app.pool([defineHandler(job, { handle: () => (running.resolve(), failing.promise) })]);
  const handle = await app.put(job, {});
  await running.promise;
  await handle.cancel("not wanted");
  failing.reject(new Error("broken"));
  expect(await handle.outcome()).toMatchObject({ state: "cancelled", reason: "not wanted" });
  await pool.stop();
  expect(messages(log)).toEqual(["info: job cancelled"]);
});

test("a log that throws keeps neither the job nor its pool from ending", async () => {
  const log = recordedLog();
  const broken = new Error("no space left on device");
  const app = testApp({
    log: {
      ...log,
      info: (...said: [object | string, string?]) => {
        if (said[1] === "attempt failed, to be retried") throw broken;
      },
      error: (...said: [object, string] | [string]) => {
        log.error(...(said as [object, string]));
        throw broken;
      },
    },
  });
  const pool = app.pool([defineHandler(job, { handle: async (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("once")) : undefined) })]);
  const handle = await app.put(job, {});
  await handle.result();
  await pool.stop();
  expect(pool.ended).toBe(2);
  expect(log.lines).toEqual([{ level: "error", message: "retry could not be delivered", fields: expect.objectContaining({ id: handle.id, err: broken }) }]);
});
