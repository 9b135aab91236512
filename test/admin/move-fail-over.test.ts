/** Moves between servers behind Sentinels, of which one fails over in the middle. */
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import type { Operator } from "../../src/admin/operator.ts";
import { removeJobs } from "../../src/admin/job-changes.ts";
import { exportQueue } from "../../src/admin/queue-export.ts";
import { moveQueue } from "../../src/admin/queue-move.ts";
import { BackendError, defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { startSentinels } from "../support/redis.ts";
import type { Sentinels } from "../support/sentinel.ts";
import { all, testOperator } from "./opened-operator.ts";

const JOBS = 4000;
const PREFIX = "bull";
const job = defineJob("n", { queue: "work", payload: typed<{ n: number }>(), keep: { completed: { count: 0 } } });

/** Cuts the replica off, so that nothing reaches it; when that has gone on until `over`, the primary is lost, and it takes its place. */
async function loseWhatFollows({ servers: [primary, replica] }: Sentinels, over: Promise<unknown>): Promise<void> {
  replica!.pause();
  const client = new Redis(primary!.url);
  await client.client("KILL", "TYPE", "REPLICA");
  client.disconnect();
  await over;
  await primary!.kill();
  replica!.resume();
}

async function startBoth() {
  const [there, here] = await Promise.all([startSentinels({ replicas: 1 }), startSentinels({ replicas: 1 })]);
  const operator = testOperator({ redis: here.url, prefix: PREFIX });
  const target = testOperator({ redis: there.url, prefix: PREFIX });
  await testApp({ redis: here.url, prefix: PREFIX }).queue(job).putMany(Array.from({ length: JOBS }, (_, n) => ({ n })));
  await Promise.all([operator.ready(), target.ready()]);
  return { here, there, operator, target };
}

/** The same again and again, as whoever typed it would, until Redis answers. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    }
  }
}

/** Moves while one of them is cut off from its replica, as far as it goes, and then fails over. */
async function movedThroughFailOver(operator: Operator, target: Operator, failing: Sentinels): Promise<unknown> {
  const breaking = new AbortController();
  let failedOver: Promise<void> | undefined;
  const moved: Promise<unknown> = moveQueue(operator, "work", target, "work", {
    signal: breaking.signal,
    onProgress(count) {
      failedOver ??= loseWhatFollows(failing, moved);
      if (count === JOBS / 2) breaking.abort();
    },
  }).catch((error: unknown) => error);
  const ended = await moved;
  await failedOver;
  return ended;
}

const everyN = Array.from({ length: JOBS }, (_, n) => n);
const NOTHING_LEFT = { left: { active: 0, flow: 0, taken: [] } };
const NOT_REPLICATED = { code: "BACKEND_UNAVAILABLE", message: expect.stringMatching(/expected a replica .* to acknowledge/) as string };

test("a fail-over of the target loses nothing that it had acknowledged, and the same move goes on", async () => {
  const { there, operator, target } = await startBoth();
  const ended = await movedThroughFailOver(operator, target, there);
  expect(await again(() => moveQueue(operator, "work", target, "work"))).toMatchObject(NOTHING_LEFT);
  const app = testApp({ redis: there.url, prefix: PREFIX });
  const ran: number[] = [];
  app.pool([defineHandler(job, { handle: async ({ n }) => void ran.push(n) })], { concurrency: 1 });
  await app.queue(job).join();
  expect(ran).toEqual(everyN);
  expect(ended).toMatchObject(NOT_REPLICATED);
}, 90_000);

test("a fail-over of the source brings nothing back that has gone and was run, and the same move goes on", async () => {
  const { here, there, operator, target } = await startBoth();
  const ran: number[] = [];
  const app = testApp({ redis: there.url, prefix: PREFIX });
  app.pool([defineHandler(job, { handle: async ({ n }) => void ran.push(n) })], { concurrency: 50 });
  const ended = await movedThroughFailOver(operator, target, here);
  // What has come there until now is run and let go of; and the next batch is another than one that was undone.
  await app.queue(job).join();
  const next = (await again(() => all(exportQueue(operator, "work")))).find((line) => line.kind === "job")!;
  await again(() => removeJobs(operator, "work", { ids: [next.id] }));
  expect(await again(() => moveQueue(operator, "work", target, "work"))).toMatchObject(NOTHING_LEFT);
  await app.queue(job).join();
  expect(ran.toSorted((a, b) => a - b)).toEqual(everyN.filter((n) => JSON.stringify({ n }) !== next.fields["data"]));
  expect(ended).toMatchObject(NOT_REPLICATED);
}, 90_000);
