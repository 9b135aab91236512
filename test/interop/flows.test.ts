import { Job } from "bullmq";
import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockFlows, stockQueue, stockWorker } from "./stock.ts";

const parent = defineJob("parent", { queue: "parents", result: typed<string>() });
const child = defineJob("child", { queue: "children", payload: typed<{ fails?: boolean }>(), result: typed<string>(), attempts: 2, backoff: { type: "fixed", base: 0 } });

/** A pool of both, and a flow of a parent `p` with the children given. */
async function flow(children: Readonly<Record<string, { readonly fails?: boolean; readonly opts?: object }>>) {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const ran: string[] = [];
  await stockFlows(prefix).add({
    name: "parent", queueName: "parents", opts: { jobId: "p" },
    children: Object.entries(children).map(([jobId, { fails = false, opts }]) => ({ name: "child", queueName: "children", data: { fails }, opts: { jobId, ...opts } })),
  });
  app.pool([
    defineHandler(parent, { handle: async (_payload, { id }) => (ran.push(id), "all done") }),
    defineHandler(child, {
      async handle({ fails }, { id }) {
        ran.push(id);
        if (fails) throw new Error(`${id} is broken`);
        return `${id} is done`;
      },
    }),
  ]);
  const parents = stockQueue(prefix, "parents");
  const stateOf = async (id: string, queue = parents): Promise<string> => (await Job.fromId(queue, id))!.getState();
  return { app, prefix, ran, parents, children: stockQueue(prefix, "children"), stateOf };
}

test("a parent runs when its children have completed, and can read what they gave", async () => {
  const { parents, ran, stateOf } = await flow({ a: {}, b: {} });
  await until(async () => (await stateOf("p")) === "completed");
  expect(ran.at(-1)).toBe("p");
  const job = (await Job.fromId(parents, "p"))!;
  expect(Object.values((await job.getChildrenValues())!).toSorted()).toEqual(["a is done", "b is done"]);
  expect(job.returnvalue).toBe("all done");
});

test("a child with failParentOnFailure fails its parent, which never runs", async () => {
  const { parents, ran, children, stateOf } = await flow({ bad: { fails: true, opts: { failParentOnFailure: true } } });
  await until(async () => (await stateOf("p")) === "failed");
  expect(await stateOf("bad", children)).toBe("failed");
  expect(ran).toEqual(["bad", "bad"]);
  expect((await Job.fromId(parents, "p"))!.failedReason).toMatch(/child .*children:bad failed/);
});

test("a child with ignoreDependencyOnFailure lets its parent go on, which can read what was ignored", async () => {
  const { parents, stateOf } = await flow({ bad: { fails: true, opts: { ignoreDependencyOnFailure: true } }, good: {} });
  await until(async () => (await stateOf("p")) === "completed");
  const job = (await Job.fromId(parents, "p"))!;
  expect(Object.values(await job.getIgnoredChildrenFailures())).toEqual(["bad is broken"]);
  expect(Object.values((await job.getChildrenValues())!)).toEqual(["good is done"]);
});

test("a child with removeDependencyOnFailure is forgotten by its parent", async () => {
  const { parents, stateOf } = await flow({ bad: { fails: true, opts: { removeDependencyOnFailure: true } }, good: {} });
  await until(async () => (await stateOf("p")) === "completed");
  const job = (await Job.fromId(parents, "p"))!;
  expect(await job.getDependenciesCount()).toEqual({ processed: 1, unprocessed: 0, ignored: 0, failed: 0 });
});

test("a child with continueParentOnFailure starts its parent at once, before its siblings", async () => {
  const { parents, ran, stateOf } = await flow({ bad: { fails: true, opts: { continueParentOnFailure: true } }, slow: { opts: { delay: 60_000 } } });
  await until(() => ran.includes("p"));
  expect(await stateOf("slow", stockQueue(parents.opts.prefix!, "children"))).toBe("delayed");
  const job = (await Job.fromId(parents, "p"))!;
  expect(Object.values(await job.getIgnoredChildrenFailures())).toEqual(["bad is broken"]);
});

test("a parent waits for a child that failed without a word on it, until that one is retried or removed", async () => {
  const { children, stateOf } = await flow({ bad: { fails: true }, worse: { fails: true }, good: {} });
  await until(async () => (await children.getFailedCount()) === 2);
  expect(await stateOf("p")).toBe("waiting-children");
  const bad = (await Job.fromId(children, "bad"))!;
  await bad.updateData({ fails: false });
  await bad.retry();
  await until(async () => (await stateOf("bad", children)) === "completed");
  expect(await stateOf("p")).toBe("waiting-children");
  await (await Job.fromId(children, "worse"))!.remove();
  await until(async () => (await stateOf("p")) === "completed");
});

test("children that are not kept release their parent, and their values stay with it", async () => {
  const { parents, stateOf, children } = await flow({ a: { opts: { removeOnComplete: true } }, b: { fails: true, opts: { removeOnFail: true, ignoreDependencyOnFailure: true } } });
  await until(async () => (await stateOf("p")) === "completed");
  expect(await children.getJobCounts("completed", "failed")).toEqual({ completed: 0, failed: 0 });
  expect(Object.values((await (await Job.fromId(parents, "p"))!.getChildrenValues())!)).toEqual(["a is done"]);
});

test("a flow of three floors moves on between our pool and a stock Worker", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  await stockWorker(prefix, async () => "middle is done", {}, "middle");
  app.pool([
    defineHandler(parent, { handle: async () => "top is done" }),
    defineHandler(child, { handle: async (_payload, { id }) => `${id} is done` }),
  ]);
  const { job } = await stockFlows(prefix).add({
    name: "parent", queueName: "parents",
    children: [{ name: "any", queueName: "middle", children: ["x", "y", "z"].map((jobId) => ({ name: "child", queueName: "children", data: {}, opts: { jobId } })) }],
  });
  const parents = stockQueue(prefix, "parents");
  await until(async () => (await (await Job.fromId(parents, job.id!))!.getState()) === "completed");
  expect(Object.values((await job.getChildrenValues())!)).toEqual(["middle is done"]);
});

test("many children that end together in one batch release their parent once", async () => {
  const ids = Array.from({ length: 60 }, (_, n) => `c${n}`);
  const { ran, stateOf, app } = await flow(Object.fromEntries(ids.map((id, n) => [id, n % 3 === 0 ? { fails: true, opts: { ignoreDependencyOnFailure: true } } : {}])));
  await until(async () => (await stateOf("p")) === "completed");
  expect(ran.filter((id) => id === "p")).toHaveLength(1);
  await app.queue(child).join({ timeout: "5s" });
});
