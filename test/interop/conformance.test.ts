/** Holds that jobs of stock producers go by our pool as by a stock Worker: one table of scenes, each played by all, all that can be seen of it compared. */
import { DelayedError, UnrecoverableError, type Job, type JobsOptions, type Processor, type Queue } from "bullmq";
import { expect, test } from "vitest";
import { fromProcessor } from "../../src/bullmq.ts";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { dropInWorker, stockFlows, stockQueue, stockWorker } from "./stock.ts";

interface Play {
  readonly prefix: string;
  readonly queue: Queue;
  /** Ids in the order in which they ran. */
  readonly ran: string[];
  /** A stock job `job` of this id. */
  add(id: string, data?: object, opts?: JobsOptions): Promise<unknown>;
}

interface Scene {
  readonly puts: (play: Play) => Promise<unknown>;
  /** What runs the jobs, one at a time: their data, the attempts made before, and how far they are. */
  readonly work?: (data: any, attemptsMade: number, progress: (value: number) => Promise<void>) => Promise<unknown>;
  /** Needs BullMQ's own `Job` in its hands; a handler of ours has none. */
  readonly process?: Processor;
}

const fails = async (data: { readonly times?: number }, attemptsMade: number): Promise<unknown> => {
  if (attemptsMade < (data.times ?? Infinity)) throw new TypeError(`attempt ${attemptsMade}`);
  return "at last";
};

const scenes: Readonly<Record<string, Scene>> = {
  "results of all kinds": {
    puts: ({ add }) => Promise.all([{ a: [1, { b: "ä" }] }, [], "text", 5, true, null].map((result, n) => add(`r${n}`, { result }))),
    work: async ({ result }) => result,
  },
  "a job that fails and may not be tried again": { puts: ({ add }) => add("x"), work: fails },
  "a job that succeeds at its third attempt": { puts: ({ add }) => add("x", { times: 2 }, { attempts: 5 }), work: fails },
  "a job whose attempts are spent, with a back-off": { puts: ({ add }) => add("x", {}, { attempts: 3, backoff: { type: "exponential", delay: 20 } }), work: fails },
  "a retry stands behind what waits, and one of a LIFO job before it": {
    async puts({ queue, add }) {
      await queue.pause();
      await add("fifo", { times: 1 }, { attempts: 2 });
      await add("other");
      await add("lifo", { times: 1 }, { attempts: 2, lifo: true });
      await queue.resume();
    },
    work: async (data, attemptsMade) => (data.times === undefined ? "other" : fails(data, attemptsMade)),
  },
  "priorities, LIFO and delays": {
    async puts({ queue, add }) {
      await queue.pause();
      await add("p5", {}, { priority: 5 });
      await add("p1", {}, { priority: 1 });
      await add("plain");
      await add("last-first", {}, { lifo: true });
      await add("late", {}, { delay: 600 });
      await queue.resume();
    },
  },
  "retention: none, the last two, and none of the failed": {
    async puts({ add }) {
      for (const id of ["a", "b", "c"]) await add(id, {}, { removeOnComplete: 2 });
      await add("gone", {}, { removeOnComplete: true });
      await add("failed-gone", { fail: true }, { removeOnFail: true });
      for (const id of ["f1", "f2", "f3"]) await add(id, { fail: true }, { removeOnFail: { count: 1 } });
    },
    work: async ({ fail }) => (fail ? fails({}, 0) : "kept"),
  },
  "an id that is there already": { puts: async ({ add }) => Promise.all([add("x", { n: 1 }), add("x", { n: 2 })]), work: async ({ n }) => n },
  "a deduplication id, free again afterwards": {
    async puts({ add, queue }) {
      await Promise.all([add("first", {}, { deduplication: { id: "d" } }), add("second", {}, { deduplication: { id: "d" } })]);
      await until(async () => (await queue.getJobState("first")) === "completed");
      await add("third", {}, { deduplication: { id: "d" } });
    },
  },
  progress: {
    puts: ({ add }) => add("x"),
    async work(_data, _attemptsMade, progress) {
      await progress(25);
      await progress(75);
    },
  },
  "a flow: the parent runs when its children have, one of which was tried twice": {
    puts: ({ prefix }) =>
      stockFlows(prefix).add({
        name: "job", queueName: "work", opts: { jobId: "parent" },
        children: [
          { name: "job", queueName: "work", opts: { jobId: "good" } },
          { name: "job", queueName: "work", data: { times: 1 }, opts: { jobId: "twice", attempts: 2 } },
        ],
      }),
    work: async (data, attemptsMade) => (data.times === undefined ? "done" : fails(data, attemptsMade)),
  },
  "a flow: a child that fails takes its parent with it": {
    puts: ({ prefix }) =>
      stockFlows(prefix).add({
        name: "job", queueName: "work", opts: { jobId: "parent" },
        children: [{ name: "job", queueName: "work", data: { fail: true }, opts: { jobId: "bad", failParentOnFailure: true } }],
      }),
    work: async ({ fail }) => (fail ? fails({}, 0) : "done"),
  },
  "a flow: a child that fails is ignored": {
    puts: ({ prefix }) =>
      stockFlows(prefix).add({
        name: "job", queueName: "work", opts: { jobId: "parent" },
        children: [{ name: "job", queueName: "work", data: { fail: true }, opts: { jobId: "bad", ignoreDependencyOnFailure: true } }],
      }),
    work: async ({ fail }) => (fail ? fails({}, 0) : "done"),
  },
  "a result that is nothing": { puts: ({ add }) => add("x"), process: async () => undefined },
  "an UnrecoverableError": {
    puts: ({ add }) => add("x", {}, { attempts: 5 }),
    process: async () => {
      throw new UnrecoverableError("never");
    },
  },
  "a job that moves itself to a later time, and logs": {
    puts: ({ add }) => add("x", { step: 1 }),
    async process(job, token) {
      await job.log(`step ${job.data.step}`);
      if (job.data.step === 2) return "two steps";
      await job.updateData({ step: 2 });
      await job.moveToDelayed(Date.now() + 50, token);
      throw new DelayedError();
    },
  },
};

type Run = (scene: Scene, play: Play) => Promise<unknown>;

/** The scene as BullMQ's Worker takes it. */
function processorOf({ work, process }: Scene, ran: string[]): Processor {
  return async (job: Job, token, signal) => {
    ran.push(job.id!);
    return process === undefined ? work?.(job.data, job.attemptsMade, (value) => job.updateProgress(value)) : process(job, token, signal);
  };
}

const runners: Readonly<Record<string, Run>> = {
  "a stock Worker": (scene, { prefix, ran }) => stockWorker(prefix, processorOf(scene, ran)),
  "a stock Worker on the drop-in backend": (scene, { prefix, ran }) => dropInWorker(prefix, processorOf(scene, ran)),
  "our pool, by the same processor": async (scene, { prefix, ran }) => testApp({ prefix }).pool([fromProcessor("work", processorOf(scene, ran))], { concurrency: 1 }),
  "our pool, by a handler": async ({ work }, { prefix, ran }) => {
    const contract = defineJob("job", { queue: "work", payload: typed<any>(), result: typed<unknown>(), attempts: 1, backoff: { type: "fixed", base: 0 } });
    const handler = defineHandler(contract, {
      async handle(data, task) {
        ran.push(task.id);
        return (await work?.(data, task.attempt - 1, (value) => task.progress(value))) ?? null;
      },
    });
    return testApp({ prefix }).pool([handler], { concurrency: 1 });
  },
};

for (const [title, scene] of Object.entries(scenes)) {
  test(title, async () => {
    const [reference, ...others] = Object.entries(runners).filter(([name]) => scene.process === undefined || !name.endsWith("by a handler"));
    const expected = await play(scene, reference![1]);
    expect(expected.ran.length).toBeGreaterThan(0);
    for (const [name, run] of others) expect(await play(scene, run), name).toEqual(expected);
  });
}

/** All that can be seen of it from outside, once everything has ended. */
async function play(scene: Scene, run: Run) {
  const prefix = freshPrefix();
  const queue = stockQueue(prefix);
  const client = redisClient();
  const ran: string[] = [];
  const put = new Set<string>();
  const add = (id: string, data = {}, opts: JobsOptions = {}): Promise<unknown> => (put.add(id), queue.add("job", data, { jobId: id, ...opts }));
  const staged: Play = { prefix, queue, ran, add };
  await run(scene, staged);
  await scene.puts(staged);
  await until(async () => Object.values(await queue.getJobCounts("waiting", "active", "delayed", "prioritized", "waiting-children")).every((count) => count === 0));
  const events = (await client.xrange(`${prefix}:work:events`, "-", "+")).map(([, fields]) => Object.fromEntries(fields.flatMap((field, i) => (i % 2 === 0 ? [[field, fields[i + 1]]] : []))) as Record<string, string>);
  const ids = [...new Set([...put, ...events.flatMap(({ jobId = [] }) => jobId)])].toSorted();
  const jobs = Object.fromEntries(
    await Promise.all(
      ids.map(async (id) => {
        const job = await queue.getJob(id);
        if (job === undefined) return [id, "gone"] as const;
        const { data, returnvalue, failedReason, attemptsMade, attemptsStarted, progress, stacktrace, finishedOn, processedOn } = job;
        const { logs } = await queue.getJobLogs(id);
        const children = await job.getChildrenValues();
        return [id, { state: await job.getState(), data, returnvalue, failedReason: failedReason?.replace(prefix, ""), attemptsMade, attemptsStarted, progress, traces: stacktrace?.length, ended: finishedOn! >= processedOn!, logs, children: Object.values(children ?? {}) }] as const;
      }),
    ),
  );
  return {
    ran,
    jobs,
    counts: await queue.getJobCounts(),
    events: Object.fromEntries(ids.map((id) => [id, events.filter(({ jobId }) => jobId === id).map((event) => ({ ...event, delay: undefined, failedReason: event["failedReason"]?.replace(prefix, "") }))])),
    drained: events.some(({ event }) => event === "drained"),
  };
}
