import { expect, test } from "vitest";
import { DeadLetter, defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";

test("the lines of a delivery tell queue, job, attempt and fence: the handler's own, and those of its end", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const job = defineJob("fails", { queue: "ends", payload: typed<object>(), attempts: 5, backoff: { type: "fixed", base: 0 } });
  app.pool([
    defineHandler(job, {
      async handle(_, task) {
        task.log.info("here");
        throw task.attempt === 1 ? new Error("once") : new DeadLetter("for good");
      },
    }),
  ]);
  const { id } = await app.put(job, {});
  await until(() => log.lines.some(({ message }) => message === "job failed for good"));
  const facts = (attempt: number) => ({ queue: "ends", job: "fails", id, attempt, fence: attempt });
  expect(log.lines.filter(({ fields }) => "fence" in fields).map(({ message, fields }) => [message, fields])).toEqual([
    ["here", facts(1)],
    ["attempt failed, to be retried", { ...facts(1), reason: "once", delayMs: 0 }],
    ["here", facts(2)],
    ["job failed for good", { ...facts(2), reason: "for good" }],
  ]);
});

test("what the contract redacts is masked in the fields of the handler's own lines", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const job = defineJob("mail", { queue: "ends", payload: typed<{ to: string; body: string }>(), redact: ["body"] });
  app.pool([defineHandler(job, { handle: async (payload, task) => task.log.info("sending", { body: payload.body, payload }) })]);
  await app.put(job, { to: "a@b.ch", body: "secret" });
  await until(() => log.lines.some(({ message }) => message === "sending"));
  expect(log.lines.find(({ message }) => message === "sending")?.fields).toMatchObject({ body: "***", payload: { to: "a@b.ch", body: "***" } });
  expect(JSON.stringify(log.lines)).not.toContain("secret");
});

test("a job that did not run is told as cancelled by whoever cancelled it", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const job = defineJob("waits", { payload: typed<object>() });
  const handle = await app.put(job, {});
  await handle.cancel("not wanted");
  expect(log.lines).toEqual([{ level: "info", message: "job cancelled", fields: expect.objectContaining({ queue: "waits", id: handle.id, reason: "cancelled: not wanted" }) }]);
});
