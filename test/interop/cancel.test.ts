import { Job } from "bullmq";
import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockEvents, stockFlows, stockQueue, stockWorker } from "./stock.ts";

const parent = defineJob("parent", { queue: "parents", result: typed<string>() });
const child = defineJob("child", { queue: "children", result: typed<string>() });
const work = defineJob("work", { payload: typed<unknown>(), result: typed<string>(), backoff: { type: "fixed", base: 0 } });

/** A flow of a parent `p` that waits for `a` and `b`, of which nothing runs yet. */
async function flow(options: object = {}) {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  await stockFlows(prefix).add({
    name: "parent", queueName: "parents", opts: { jobId: "p" },
    children: ["a", "b"].map((jobId) => ({ name: "child", queueName: "children", data: {}, opts: { jobId, ...options } })),
  });
  const start = () => app.pool([defineHandler(parent, { handle: async () => "all done" }), defineHandler(child, { handle: async (_, { id }) => `${id} is done` })]);
  return { prefix, parents: app.queue(parent), children: app.queue(child), start };
}

test("a stock board and QueueEvents see a failed job", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const { names, events } = await stockEvents(prefix);
  const reasons: string[] = [];
  events.on("failed", ({ failedReason }) => reasons.push(failedReason));
  const put = await app.put(work, 1, { delay: "1h" });
  await put.cancel("user asked");
  await until(() => reasons.length === 1);
  expect(reasons).toEqual(["cancelled: user asked"]);
  expect(names).toContain(`failed ${put.id}`);
  const seen = (await Job.fromId(stockQueue(prefix), put.id))!;
  expect(await seen.getState()).toBe("failed");
  expect(seen.failedReason).toBe("cancelled: user asked");
});

test("a job that an operator retries after its cancellation runs", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const put = await app.put(work, 1);
  await put.cancel();
  await (await Job.fromId(stockQueue(prefix), put.id))!.retry();
  app.pool([defineHandler(work, { handle: async () => "after all" })]);
  expect(await put.result({ timeout: "10s" })).toBe("after all");
});

test("a cancelled parent ends at once, and its children run", async () => {
  const { parents, children, start } = await flow();
  expect(await parents.job("p").state()).toBe("waiting-children");
  expect(await parents.cancel("p", "no more")).toBe(true);
  expect(await parents.job("p").outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "no more" });
  start();
  expect(await children.job("a").result({ timeout: "10s" })).toBe("a is done");
  expect(await children.job("b").result({ timeout: "10s" })).toBe("b is done");
  await parents.join({ timeout: "10s" });
  expect(await parents.job("p").state()).toBe("cancelled");
});

test.for([
  ["ignoreDependencyOnFailure", "completed"],
  ["removeDependencyOnFailure", "completed"],
  ["failParentOnFailure", "failed"],
] as const)("a cancelled child is a failed one to its parent: %s", async ([rule, state]) => {
  const { parents, children, start } = await flow({ [rule]: true });
  await children.cancel("a");
  start();
  expect(await parents.job("p").outcome({ timeout: "10s" })).toMatchObject({ state });
  expect(await children.job("a").state()).toBe("cancelled");
});

test("a child that runs releases its parent as well, and a flow's child may be cancelled by a request alone", async () => {
  const { parents, children } = await flow({ ignoreDependencyOnFailure: true });
  const iteration = children.deliveries({ concurrency: 2 })[Symbol.asyncIterator]();
  const [one, two] = [(await iteration.next()).value!, (await iteration.next()).value!];
  await children.cancel(one.task.id);
  await one.fail(new Error("told to end"));
  await two.ack("done");
  expect(await children.job(one.task.id).state()).toBe("cancelled");
  expect(await parents.job("p").state()).toBe("waiting");
});

test("a deduplication id is free again", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const add = async () => (await stock.add("work", 1, { deduplication: { id: "one" } })).id!;
  const first = await add();
  expect(await add()).toBe(first);
  expect(await app.queue(work).cancel(first)).toBe(true);
  expect(await app.queue(work).job(first).state()).toBe("cancelled");
  expect(await add()).not.toBe(first);
});

test("a schedule whose next run is cancelled goes on with the one after it", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const run = (await stock.upsertJobScheduler("hourly", { every: 3_600_000, offset: 1_800_000 }, { name: "work", data: 1 }))!;
  const [first] = await stock.getDelayed();
  const id = (first ?? run).id!;
  expect(await app.queue(work).cancel(id)).toBe(true);
  expect(await app.queue(work).job(id).state()).toBe("cancelled");
  const [next] = await stock.getDelayed();
  expect(next?.id).toMatch(/^repeat:hourly:/);
  expect(next!.id).not.toBe(id);
});

test("what a stock Worker runs is not told, and is cancelled when it comes back to us", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const gate = Promise.withResolvers<void>();
  const worker = await stockWorker(prefix, async () => {
    await gate.promise;
    throw new Error("for another try");
  });
  const put = await app.put(work, 1);
  await until(async () => (await put.state()) === "active");
  expect(await put.cancel("too late for stock")).toBe(true);
  expect(await put.state()).toBe("active");
  void worker.pause(true);
  gate.resolve();
  await until(async () => (await put.state()) === "waiting");
  const ran: string[] = [];
  app.pool([defineHandler(work, { handle: async (_, { id }) => (ran.push(id), "done") })]);
  expect(await put.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "too late for stock" });
  expect(ran).toEqual([]);
});
