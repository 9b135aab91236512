import { expect, test } from "vitest";
import { claimExpired } from "../../src/store/claim.ts";
import { extendLeases } from "../../src/store/extend.ts";
import type { Leased } from "../../src/store/reserve.ts";
import { noteBegun, noteWaiting } from "../../src/store/suspect.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { stockQueue } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { startRedis } from "../support/redis.ts";
import { consumerOf, eventsOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";

const round = { token: "claim", leaseMs: 10_000, everyMs: 0, holdMs: 10_000, most: 100 };
const idsOf = (leased: readonly Leased[]): string[] => leased.map(({ job }) => job.id);

async function running(queue: StoredQueue, ids: readonly string[]): Promise<readonly Leased[]> {
  await putAll(queue, ids.map((id) => newJob(id)));
  return consumerOf(queue).reserver.take(ids.length);
}

async function expire({ client, keys }: StoredQueue, ...ids: string[]): Promise<void> {
  await client.del(...ids.map((id) => `${keys.base}${id}:lock`));
}

test("a renewed lease holds that much longer, and only its holder renews it", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a, b] = await running(queue, ["a", "b"]);
  await client.set(`${keys.base}b:lock`, "another");
  expect(await extendLeases(queue, [a!, b!], 60_000)).toEqual([b]);
  expect(await client.pttl(`${keys.base}a:lock`)).toBeGreaterThan(50_000);
  expect(await client.get(`${keys.base}b:lock`)).toBe("another");
});

test("a lease that ran out while nobody took the job is taken again; that of a job that has ended is lost", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a, b] = await running(queue, ["a", "b"]);
  await consumerOf(queue).lane.settle({ leased: b!, kind: "ack", result: "null", keep: {} });
  await expire(queue, "a");
  expect(await extendLeases(queue, [a!, b!], 60_000)).toEqual([b]);
  expect(await client.get(`${keys.base}a:lock`)).toBe(a!.token);
});

test("a job is claimed by the second round that finds it without a lease, and by one claimer", async () => {
  const queue = await openQueue();
  const held = await running(queue, ["a", "b", "c"]);
  await expire(queue, "a", "b");
  expect(await claimExpired(queue, round)).toEqual([]);
  const claimed = (await Promise.all([claimExpired(queue, { ...round, token: "one" }), claimExpired(queue, { ...round, token: "two" })])).flat();
  expect(idsOf(claimed).toSorted()).toEqual(["a", "b"]);
  expect(Math.min(...claimed.map(({ fence }) => fence))).toBeGreaterThan(Math.max(...held.map(({ fence }) => fence)));
  for (const { job, token } of claimed) expect(await queue.client.get(`${queue.keys.base}${job.id}:lock`)).toBe(token);
  expect((await eventsOf(queue)).filter((event) => event.startsWith("stalled")).toSorted()).toEqual(["stalled a", "stalled b"]);
  expect(await queue.client.hget(`${queue.keys.base}a`, "stc")).toBe("1");
});

test("a claimed job is lost to its holder, and is settled by its claimer", async () => {
  const queue = await openQueue();
  const [a] = await running(queue, ["a"]);
  await expire(queue, "a");
  await claimExpired(queue, round);
  const [claimed] = await claimExpired(queue, round);
  const { lane } = consumerOf(queue);
  expect(await extendLeases(queue, [a!], 1000)).toEqual([a]);
  expect(await lane.settle({ leased: a!, kind: "ack", result: "null", keep: {} })).toBe("lost");
  expect(await lane.settle({ leased: claimed!, kind: "retry", reason: "lost", stack: [], delayMs: 0 })).toBe("done");
  expect(await placesOf(queue, "a")).toEqual(["wait"]);
  expect(await lane.settle({ leased: a!, kind: "ack", result: "null", keep: {} })).toBe("lost");
});

test("who renews between two rounds keeps the job", async () => {
  const queue = await openQueue();
  const [a] = await running(queue, ["a"]);
  await expire(queue, "a");
  expect(await claimExpired(queue, round)).toEqual([]);
  expect(await extendLeases(queue, [a!], 1)).toEqual([]);
  await until(async () => (await queue.client.exists(`${queue.keys.base}a:lock`)) === 0);
  expect(await claimExpired(queue, round)).toEqual([]);
  expect(idsOf(await claimExpired(queue, round))).toEqual(["a"]);
});

test("what a script that broke off left in two places only leaves `active`", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await running(queue, ["ended", "given-back", "late"]);
  await client.zadd(keys.completed, 1, "ended");
  await client.rpush(keys.wait, "given-back");
  await client.zadd(keys.delayed, 1, "late");
  await expire(queue, "ended", "given-back", "late");
  for (let n = 0; n < 3; n += 1) expect(await claimExpired(queue, round)).toEqual([]);
  const places = await Promise.all(["ended", "given-back", "late"].map((id) => placesOf(queue, id)));
  expect(places).toEqual([["completed"], ["wait"], ["delayed"]]);
});

test("however many ask, there is one round in its time, and one takes no more than it was told to", async () => {
  const queue = await openQueue();
  await running(queue, ["a", "b", "c"]);
  await expire(queue, "a", "b", "c");
  await claimExpired(queue, round);
  const slow = { ...round, everyMs: 60_000 };
  expect(await Promise.all([claimExpired(queue, slow), claimExpired(queue, slow)])).toEqual([[], []]);
  const claims = [];
  for (const token of ["1", "2", "3"]) claims.push((await claimExpired(queue, { ...round, token, most: 2 })).length);
  expect(claims).toEqual([2, 1, 0]);
});

test("a round keeps BullMQ's stall check away for its time, also from a worker that checks all the time", async () => {
  const queue = await openQueue();
  const stock = await queue.stock();
  await running(queue, ["a"]);
  await expire(queue, "a");
  await queue.client.set(queue.keys.stalledCheck, String(Date.now()), "PX", 100);
  await claimExpired(queue, { ...round, everyMs: 2000 });
  expect(await queue.client.pttl(queue.keys.stalledCheck)).toBeGreaterThan(9000);
  expect(await stock.moveStalledJobsToWait()).toEqual([]);
  expect(await placesOf(queue, "a")).toEqual(["active"]);
});

test("leases are renewed, taken again and claimed while Redis is full", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const [a, b, c] = await running(queue, ["a", "b", "c"]);
  await expire(queue, "b", "c");
  await queue.client.config("SET", "maxmemory", "1");
  expect(await extendLeases(queue, [b!], 10_000)).toEqual([]);
  expect(await extendLeases(queue, [a!], 10_000)).toEqual([]);
  await claimExpired(queue, round);
  const [claimed] = await claimExpired(queue, round);
  expect(claimed!.job.id).toBe(c!.job.id);
});

test("a claimed run of a schedule has its next run planned, though its holder never came to it", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix, queue.name);
  await stock.upsertJobScheduler("every", { every: 60_000 }, { name: "tick" });
  const [run] = await consumerOf(queue).reserver.take(1);
  await expire(queue, run!.job.id);
  await claimExpired(queue, round);
  expect(await queue.client.zcard(queue.keys.delayed)).toBe(0);
  expect(await claimExpired(queue, round)).toHaveLength(1);
  expect(await queue.client.zrange(queue.keys.delayed, "0", "-1")).toEqual([expect.stringMatching(/^repeat:every:\d+$/)]);
});

test("a delivery that waited to run alone is not blamed; one that had begun is, and so is its next", async () => {
  const queue = await openQueue();
  const [a, b] = await running(queue, ["a", "b"]);
  expect(await noteWaiting(queue, a!)).toBe(true);
  expect(await noteWaiting(queue, b!)).toBe(true);
  expect(await noteBegun(queue, b!)).toBe(true);
  await expire(queue, "a", "b");
  await claimExpired(queue, round);
  const claimed = await claimExpired(queue, round);
  const facts = claimed.map(({ job, holder, takenAt, hadBegun }) => ({ id: job.id, crashes: job.crashes, holder, isRecent: Math.abs(takenAt - Date.now()) < 60_000, hadBegun }));
  expect(facts.toSorted((one, other) => one.id.localeCompare(other.id))).toEqual([
    { id: "a", crashes: 0, holder: "tester", isRecent: true, hadBegun: false },
    { id: "b", crashes: 1, holder: "tester", isRecent: true, hadBegun: true },
  ]);
  const { lane, reserver } = consumerOf(queue);
  for (const leased of claimed) await lane.settle({ leased, kind: "release", delayMs: 0 });
  await reserver.take(2);
  await expire(queue, "a", "b");
  await claimExpired(queue, round);
  const again = await claimExpired(queue, round);
  expect(again.map(({ job, hadBegun }) => [job.id, job.crashes, hadBegun]).toSorted()).toEqual([["a", 1, true], ["b", 2, true]]);
});

test("whose lease has passed on notes nothing", async () => {
  const queue = await openQueue();
  const [a] = await running(queue, ["a"]);
  await queue.client.set(`${queue.keys.base}a:lock`, "another");
  expect(await noteWaiting(queue, a!)).toBe(false);
  await queue.client.del(`${queue.keys.base}a`, `${queue.keys.base}a:lock`);
  expect(await noteBegun(queue, a!)).toBe(false);
  expect(await queue.client.exists(`${queue.keys.base}a`)).toBe(0);
});
