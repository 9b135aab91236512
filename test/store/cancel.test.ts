import { expect, onTestFinished, test } from "vitest";
import { cancelRequests, requestCancel } from "../../src/store/cancel.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { consumerOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";
import { redisClient, startRedis } from "../support/redis.ts";

const ask = (queue: StoredQueue, id: string, token = "t") => requestCancel(queue, id, { reason: "asked", token, leaseMs: 10_000 });

test("a job that does not run is ours, under a lease, as if it had been delivered to us", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("a"), newJob("b")]);
  const reply = await ask(queue, "a");
  expect(reply).toMatchObject({ state: "claimed", leased: { token: "t", fence: 1, job: { id: "a", name: "test", starts: 1, attemptsMade: 0, cancelReason: "asked" } } });
  expect(await placesOf(queue, "a")).toEqual(["active"]);
  expect(await client.get(`${keys.base}a:lock`)).toBe("t");
  const [b] = await consumerOf(queue).reserver.take(5);
  expect(b).toMatchObject({ fence: 2, job: { id: "b" } });
});

test("the same call again, after its answer was lost, is answered alike", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  await ask(queue, "a");
  expect(await ask(queue, "a")).toMatchObject({ state: "claimed", leased: { job: { id: "a", starts: 1 } } });
  expect(await ask(queue, "a", "another")).toEqual({ state: "requested" });
});

test("of a job that runs it is asked, and whoever listens hears its id", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a"), newJob("b")]);
  await consumerOf(queue).reserver.take(2);
  const listener = redisClient();
  await listener.subscribe(`${queue.keys.base}millrace:cancel`);
  const heard = new Promise((resolve) => listener.once("message", (_, id) => resolve(id)));
  expect(await ask(queue, "b")).toEqual({ state: "requested" });
  expect(await heard).toBe("b");
  expect(await placesOf(queue, "b")).toEqual(["active"]);
  expect(await cancelRequests(queue, ["a", "b", "never"])).toEqual([undefined, "asked", undefined]);
});

test("a job that has ended, and what is no job, is left alone", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  const { lane, reserver } = consumerOf(queue);
  const [a] = await reserver.take(1);
  await lane.settle({ leased: a!, kind: "ack", result: "1", keep: {} });
  const before = await queue.client.hgetall(`${queue.keys.base}a`);
  for (const id of ["a", "never", "meta", "events", "a:lock"]) expect(await ask(queue, id)).toEqual({ state: "ended" });
  expect(await queue.client.hgetall(`${queue.keys.base}a`)).toEqual(before);
});

test("a full Redis still lets go of what waits", async () => {
  const { url } = await startRedis();
  const queue = await openQueue({ url });
  await putAll(queue, [newJob("a"), newJob("b")]);
  const [b] = (await consumerOf(queue).reserver.take(1)).slice(0, 1);
  const admin = redisClient(url);
  onTestFinished(async () => void (await admin.config("SET", "maxmemory", "0").catch(() => {})));
  await admin.config("SET", "maxmemory", "1");
  await expect(ask(queue, b!.job.id)).rejects.toMatchObject({ code: "BACKEND_FULL" });
  expect(await ask(queue, "b")).toMatchObject({ state: "claimed" });
});
