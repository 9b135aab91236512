import * as fc from "fast-check";
import { expect, test } from "vitest";
import { countJobs, queueExists } from "../../src/store/count.ts";
import { putJobs } from "../../src/store/put-script.ts";
import type { Leased } from "../../src/store/reserve.ts";
import type { Settlement } from "../../src/store/settle.ts";
import { stockFlows, stockQueue } from "../interop/stock.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

const none = { waiting: 0, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 0 };

test("counts jobs by state, as a stock Queue does, and what is unfinished", async () => {
  const queue = await openQueue();
  expect(await countJobs(queue)).toEqual(none);
  await stockFlows(queue.prefix).add({ name: "p", queueName: queue.name, children: [{ name: "c", queueName: "elsewhere" }] });
  await putAll(queue, [newJob("done"), newJob("dead"), newJob("held"), newJob("a"), newJob("b", { priority: 1 }), newJob("c", { delayMs: 60_000 })]);
  const { lane, reserver } = consumerOf(queue);
  const [done, dead] = await reserver.take(3);
  await lane.settle({ leased: done!, kind: "ack", result: "null", keep: {} });
  await lane.settle({ leased: dead!, kind: "fail", reason: "r", stack: [], attempts: 1, keep: {} });
  const { unfinished, ...states } = await countJobs(queue);
  expect(states).toEqual({ waiting: 1, prioritized: 1, delayed: 1, "waiting-children": 1, active: 1, completed: 1, failed: 1 });
  expect(unfinished).toBe(5);
  const stock = stockQueue(queue.prefix, queue.name);
  const names = Object.keys(states) as (keyof typeof states)[];
  expect(await stock.getJobCounts(...names)).toEqual(states);
});

test("the future of schedules is not unfinished; a run that is due, runs, or is to be tried again is", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix, queue.name);
  await stock.upsertJobScheduler("nightly", { pattern: "0 3 * * *" }, { name: "n" });
  await stock.upsertJobScheduler("soon", { every: 3_600_000 }, { name: "s" });
  expect(await countJobs(queue)).toEqual({ ...none, delayed: 1, waiting: 1, unfinished: 1 });
  const { lane, reserver } = consumerOf(queue);
  const [run] = await reserver.take(5);
  expect((await countJobs(queue)).unfinished).toBe(1);
  await lane.settle({ leased: run!, kind: "release", delayMs: 60_000 });
  // Its next run was not planned, so by its name it is still the schedule's next; but it has been started.
  expect(await countJobs(queue)).toEqual({ ...none, delayed: 2, unfinished: 1 });
});

/** What may happen to a queue; the number says to which of the jobs that it can happen to. */
const operation = fc.oneof(
  fc.record({ op: fc.constant("put" as const), delayed: fc.boolean(), priority: fc.constantFrom(0, 3) }),
  fc.record({ op: fc.constant("take" as const), most: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ op: fc.constantFrom("ack" as const, "drop" as const, "fail" as const, "retry" as const, "later" as const, "release" as const), which: fc.nat() }),
  fc.record({ op: fc.constant("pause" as const), paused: fc.boolean() }),
  fc.record({ op: fc.constant("repeat" as const) }),
);

/** The law of join: what is unfinished is what was put and has not ended, whatever happens in between. */
test("unfinished is at every moment the number of jobs that were put and have not ended", async () => {
  const stock = await openQueue();
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), fc.nat(), async (operations, run) => {
      const queue = await openQueue({ prefix: stock.prefix, name: `q${run}-${Math.random()}` });
      await stockQueue(queue.prefix, queue.name).upsertJobScheduler("future", { pattern: "0 3 1 1 *" }, { name: "new year" });
      const { lane, reserver } = consumerOf(queue);
      const held: Leased[] = [];
      let [put, ended] = [0, 0];
      const how = (leased: Leased, op: string): Settlement => {
        if (op === "ack" || op === "drop") return { leased, kind: "ack", result: "null", keep: op === "drop" ? { count: 0 } : { count: 2 } };
        if (op === "fail") return { leased, kind: "fail", reason: "r", stack: [], attempts: 1, keep: { count: 1 } };
        if (op === "release") return { leased, kind: "release", delayMs: 0 };
        return { leased, kind: "retry", reason: "r", stack: [], delayMs: op === "later" ? 60_000 : 0 };
      };
      for (const operation of operations) {
        if (operation.op === "put") {
          put += 1;
          await putJobs(queue, "p", { own: put, lowestOpen: put }, 0, [newJob(`j${put}`, { delayMs: operation.delayed ? 60_000 : 0, priority: operation.priority })]);
        } else if (operation.op === "repeat" && put > 0) {
          await putJobs(queue, "p", { own: put, lowestOpen: put }, 0, [newJob(`j${put}`)]);
        } else if (operation.op === "take") {
          held.push(...(await reserver.take(operation.most)));
        } else if (operation.op === "pause") {
          await (await stock.stock()).forQueue(queue.name).pause(operation.paused);
        } else if ("which" in operation && held.length > 0) {
          const [leased] = held.splice(operation.which % held.length, 1);
          expect(await lane.settle(how(leased!, operation.op))).toBe("done");
          if (["ack", "drop", "fail"].includes(operation.op)) ended += 1;
        }
        const { unfinished, active } = await countJobs(queue);
        expect([unfinished, active]).toEqual([put - ended, held.length]);
      }
    }),
    { numRuns: 25 },
  );
});

test("a queue exists once anybody has used it", async () => {
  const queue = await openQueue();
  expect(await queueExists(queue)).toBe(false);
  await stockQueue(queue.prefix, queue.name).add("any", {});
  expect(await queueExists(queue)).toBe(true);
});
