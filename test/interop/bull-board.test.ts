import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { expect, test } from "vitest";
import { defineHandler, defineJob, DeadLetter, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockFlows, stockQueue } from "./stock.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), result: typed<{ twice: number }>(), attempts: 2, backoff: { type: "fixed", base: 0 } });

test("bull-board's adapter lists our jobs in their states", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const board = new BullMQAdapter(stock);
  const release = Promise.withResolvers<void>();
  const pool = app.pool([
    defineHandler(job, {
      async handle({ n }, task) {
        if (task.id === "held") await release.promise;
        if (task.id === "dead") throw new DeadLetter("for the operator");
        if (task.id === "flaky" && task.attempt === 1) throw new Error("once");
        return { twice: n * 2 };
      },
    }),
  ]);
  for (const id of ["done", "flaky", "dead", "held"]) await app.put(job, { n: 7 }, { id });
  await until(async () => (await app.queue(job).counts()).unfinished === 1);
  await stock.pause();
  await app.put(job, { n: 1 }, { id: "waits" });
  await app.put(job, { n: 1 }, { id: "first", priority: 1 });
  await app.put(job, { n: 1 }, { id: "late", delay: "1h" });
  await stockFlows(prefix).add({ name: "work", queueName: "work", opts: { jobId: "parent" }, children: [{ name: "work", queueName: "elsewhere", opts: { jobId: "child" } }] });

  const states = ["active", "waiting", "prioritized", "delayed", "waiting-children", "completed", "failed"] as const;
  const listed = Object.fromEntries(await Promise.all(states.map(async (state) => [state, (await board.getJobs([state])).map(({ id }) => id).toSorted()])));
  expect(listed).toEqual({
    active: ["held"], waiting: ["waits"], prioritized: ["first"], delayed: ["late"], "waiting-children": ["parent"], completed: ["done", "flaky"], failed: ["dead"],
  });
  expect(await board.getJobCounts()).toMatchObject({ active: 1, waiting: 1, prioritized: 1, delayed: 1, "waiting-children": 1, completed: 2, failed: 1 });
  expect(await board.isPaused()).toBe(true);

  expect(await board.getJob("flaky")).toMatchObject({ name: "work", data: { n: 7 }, returnvalue: { twice: 14 }, attemptsMade: 2, opts: { attempts: 2 } });
  const dead = (await board.getJob("dead"))!;
  expect(dead).toMatchObject({ failedReason: "for the operator", attemptsMade: 1 });
  expect(dead.stacktrace?.[0]).toContain("for the operator");
  expect((await board.getJob("held"))!.processedBy).toContain(String(process.pid));
  expect((await board.getJob("late"))!.toJSON()).toMatchObject({ delay: 3_600_000, opts: { delay: 3_600_000 } });
  release.resolve();
  await pool.stop();
});

test("what an operator does on the board reaches our jobs: retry, promote, clean, limits", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const board = new BullMQAdapter(stockQueue(prefix));
  let broken = true;
  app.pool([
    defineHandler(job, {
      async handle({ n }) {
        if (broken) throw new Error("broken");
        return { twice: n * 2 };
      },
    }),
  ]);
  const put = await app.put(job, { n: 2 });
  expect((await put.outcome({ timeout: "15s" })).state).toBe("failed");
  broken = false;
  await (await board.getJob(put.id))!.retry();
  await until(async () => (await put.state()) === "completed");
  const late = await app.put(job, { n: 3 }, { delay: "1h" });
  await board.promoteAll();
  expect(await late.result({ timeout: "15s" })).toEqual({ twice: 6 });
  await board.clean("completed", 0);
  expect(await put.state()).toBe("removed");
  await board.setGlobalConcurrency(1);
  expect(await board.getGlobalConcurrency()).toBe(1);
});
