import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BackendFullError } from "../../src/errors.ts";
import { producerKey } from "../../src/store/keys.ts";
import { putJobs, TRIM_EVERY, type NewJob, type PutReply } from "../../src/store/put-script.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { startRedis } from "../support/redis.ts";
import { eventsOf, newJob, openQueue, waitingIds } from "./opened-queue.ts";

let number = 0;
function put(queue: StoredQueue, jobs: readonly NewJob[], maxSize = 0): Promise<PutReply> {
  number += 1;
  return putJobs(queue, "p", { own: number, lowestOpen: number }, maxSize, jobs);
}
const added: PutReply = { state: "put", existing: new Set() };

test("writes the hash, the list and the events of a job as BullMQ does", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  expect(await put(queue, [newJob("a", { data: '{"n":1}', timeoutMs: 50, deadlineMs: 60, expireAtMs: 1_900_000_000_000 })])).toEqual(added);
  const { timestamp, ...hash } = await client.hgetall(`${keys.base}a`);
  expect(hash).toEqual({ name: "test", data: '{"n":1}', opts: '{"attempts":3,"mv":1}', delay: "0", priority: "0", mt: "50", md: "60", mx: "1900000000000" });
  expect(Math.abs(Number(timestamp) - Date.now())).toBeLessThan(60_000);
  expect(await waitingIds(queue)).toEqual(["a"]);
  expect(await eventsOf(queue)).toEqual(["added a", "waiting a"]);
  expect(await client.zrange(keys.marker, "0", "-1", "WITHSCORES")).toEqual(["0", "0"]);
});

test("a delayed job waits in `delayed` under the server's clock, and the marker says when", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await put(queue, [newJob("late", { delayMs: 60_000 }), newJob("later", { delayMs: 90_000 })]);
  const dueAt = Number(await client.hget(`${keys.base}late`, "timestamp")) + 60_000;
  expect(await client.zrange(keys.delayed, "0", "-1")).toEqual(["late", "later"]);
  expect(Number(await client.zscore(keys.delayed, "late"))).toBe(dueAt * 4096);
  expect(await client.zrange(keys.marker, "0", "-1", "WITHSCORES")).toEqual(["1", String(dueAt)]);
  expect(await eventsOf(queue)).toEqual(["added late", "delayed late", "added later", "delayed later"]);
});

test("delayed jobs of one millisecond keep their order, beyond those that the score has room for", async () => {
  const queue = await openQueue();
  const ids = Array.from({ length: 50 }, (_, n) => `j${n}`);
  const runAtMs = Date.now() + 3_600_000;
  await put(queue, ids.map((id) => newJob(id, { runAtMs })));
  expect(await queue.client.zrange(queue.keys.delayed, "0", "-1")).toEqual(ids);
});

test("an instant in the past is now", async () => {
  const queue = await openQueue();
  await put(queue, [newJob("a", { runAtMs: 1 })]);
  expect(await waitingIds(queue)).toEqual(["a"]);
});

test("jobs are taken in the order put, LIFO ones before them, prioritized ones after them by priority", async () => {
  const queue = await openQueue();
  const kind = fc.constantFrom<Partial<NewJob>>({}, { lifo: true }, { priority: 1 }, { priority: 2 }, { priority: 2 ** 21 - 1 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(kind, { minLength: 1, maxLength: 6 }), { maxLength: 4 }), async (batches) => {
      await queue.client.del(queue.keys.wait, queue.keys.prioritized);
      const jobs = batches.flatMap((batch, b) => batch.map((job, n) => newJob(`${number}-${b}-${n}`, job)));
      let from = 0;
      for (const { length } of batches) await put(queue, jobs.slice(from, (from += length)));
      const lifo = jobs.filter((job) => job.lifo).toReversed();
      const fifo = jobs.filter((job) => !job.lifo && job.priority === 0);
      const prioritized = jobs.filter((job) => job.priority > 0).toSorted((a, b) => a.priority - b.priority);
      expect(await waitingIds(queue)).toEqual([...lifo, ...fifo, ...prioritized].map(({ id }) => id));
    }),
    { numRuns: 30 },
  );
});

test("an id that exists is left as it is, also within one batch, and its position told", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await put(queue, [newJob("a", { data: "1" })]);
  const reply = await put(queue, [newJob("b", { data: "2" }), newJob("a", { data: "3" }), newJob("b", { data: "4" })]);
  expect(reply).toEqual({ state: "put", existing: new Set([1, 2]) });
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
  expect(await Promise.all(["a", "b"].map((id) => client.hget(keys.base + id, "data")))).toEqual(["1", "2"]);
  expect((await eventsOf(queue)).slice(2)).toEqual(["added b", "waiting b", "duplicated a", "duplicated b"]);
});

test("a bounded queue takes a batch that fits, else none of it, and says how much room there is", async () => {
  const queue = await openQueue();
  await put(queue, [newJob("a"), newJob("b", { priority: 1 }), newJob("c", { delayMs: 60_000 })], 5);
  expect(await put(queue, [newJob("d"), newJob("e"), newJob("f")], 5)).toEqual({ state: "full", room: 2 });
  expect(await put(queue, [newJob("d"), newJob("e")], 5)).toEqual(added);
  expect(await put(queue, [newJob("f")], 5)).toEqual({ state: "full", room: 0 });
  expect(await waitingIds(queue)).toEqual(["a", "d", "e", "b"]);
});

test("a paused queue, and one at its global concurrency, wakes nobody", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await client.hset(keys.meta, "paused", 1);
  await put(queue, [newJob("a")]);
  expect(await client.exists(keys.marker)).toBe(0);
  await client.hdel(keys.meta, "paused");
  await client.hset(keys.meta, "concurrency", 1);
  await client.lpush(keys.active, "running");
  await put(queue, [newJob("b")]);
  expect(await client.exists(keys.marker)).toBe(0);
  await client.del(keys.active);
  await put(queue, [newJob("c")]);
  expect(await client.exists(keys.marker)).toBe(1);
  await client.del(keys.marker);
  await client.hset(keys.meta, "concurrency", "no number");
  await put(queue, [newJob("d")]);
  expect(await client.exists(keys.marker)).toBe(1);
});

test("the event stream is trimmed to the queue's setting, 10,000 where nobody set one, by one put in eight", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await put(queue, [newJob("a")]);
  expect(await client.hget(keys.meta, "opts.maxLenEvents")).toBe("10000");
  await client.hset(keys.meta, "opts.maxLenEvents", 0);
  do await put(queue, [newJob(`b${number}`)]);
  while (number % TRIM_EVERY !== 0);
  expect(await eventsOf(queue)).toEqual([]);
  await put(queue, [newJob("c")]);
  expect(await eventsOf(queue)).toEqual(["added c", "waiting c"]);
});

test("a repeat gets the answer that was lost: put, existing or full, and adds nothing", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const send = (own: number, jobs: readonly NewJob[], maxSize = 0): Promise<PutReply> => putJobs(queue, "q", { own, lowestOpen: 1 }, maxSize, jobs);
  await send(1, [newJob("a")]);
  const answers: [number, NewJob[], PutReply][] = [
    [2, [newJob("b")], added],
    [3, [newJob("c"), newJob("a")], { state: "put", existing: new Set([1]) }],
    [4, [newJob("d"), newJob("e")], { state: "full", room: 1 }],
  ];
  for (const [own, jobs, answer] of answers) expect(await send(own, jobs, 4)).toEqual(answer);
  // Everything has ended and been removed meanwhile; there would be room.
  await client.del(keys.wait, ...["a", "b", "c"].map((id) => keys.base + id));
  for (const [own, jobs, answer] of answers) expect(await send(own, jobs, 4)).toEqual(answer);
  expect(await waitingIds(queue)).toEqual([]);
});

test("of a producer the server keeps its highest number and what was open within the last hour, for another hour at least", async () => {
  const queue = await openQueue();
  const { client } = queue;
  const key = producerKey(queue.keys, "r");
  const send = (own: number, lowestOpen: number, maxSize = 0): Promise<PutReply> => putJobs(queue, "r", { own, lowestOpen }, maxSize, [newJob(`${own}`)]);
  await send(1, 1);
  await send(4, 2);
  await send(5, 2, 2);
  expect(Object.keys(await client.hgetall(key)).toSorted()).toEqual(["2", "3", "5", "n", "r"]);
  await client.hset(key, "r", 0);
  await send(6, 6);
  expect(Object.keys(await client.hgetall(key)).toSorted()).toEqual(["n", "r"]);
  expect(await client.pttl(key)).toBeGreaterThan(7_190_000);
});

test("an answer is kept until it was heard, though an older number stays open", async () => {
  const queue = await openQueue();
  const key = producerKey(queue.keys, "h");
  const send = (own: number, heard: number[] = []): Promise<PutReply> => putJobs(queue, "h", { own, lowestOpen: 1, heard }, 0, [newJob("same")]);
  for (const own of [2, 3, 4]) await send(own);
  expect(Object.keys(await queue.client.hgetall(key)).toSorted()).toEqual(["1", "3", "4", "n", "r"]);
  await send(5, [3, 4]);
  expect(Object.keys(await queue.client.hgetall(key)).toSorted()).toEqual(["1", "5", "n", "r"]);
});

test("a server that has forgotten a producer puts what is still open, once", async () => {
  const queue = await openQueue();
  const send = (own: number, lowestOpen: number): Promise<PutReply> => putJobs(queue, "s", { own, lowestOpen }, 0, [newJob(`s${own}`)]);
  await send(1, 1);
  await queue.client.del(producerKey(queue.keys, "s"));
  await send(4, 2);
  for (const late of [3, 2, 3, 4, 2]) await send(late, 2);
  expect(await waitingIds(queue)).toEqual(["s1", "s4", "s3", "s2"]);
});

/**
 * The law of numbered puts: however sendings are lost, repeated, delayed and mixed, every job is put once, and one that
 * was acknowledged is in. Jobs end and are removed at once, so that their ids protect nothing.
 */
test("any interleaving of lost replies, late sendings and repeats puts every job exactly once", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  let run = 0;
  /** A batch, one of those that are open or a new one, is sent: its answer may be lost, the queue be full, and an older sending arrive late. */
  const step = fc.record({ batch: fc.nat(5), lost: fc.boolean(), full: fc.boolean(), late: fc.option(fc.nat(20)) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      run += 1;
      const producer = `t${run}`;
      const jobOf = new Map<number, string>();
      const open = new Set<number>();
      const taken: string[] = [];
      let next = 1;
      let jobs = 0;
      const number = (job: string): number => {
        jobOf.set(next, job);
        open.add(next);
        return next++;
      };
      const send = async (own: number, lowestOpen: number, full: boolean): Promise<PutReply> => {
        if (full) await client.lpush(keys.wait, "in the way");
        const reply = await putJobs(queue, producer, { own, lowestOpen }, 1, [newJob(jobOf.get(own)!)]);
        for (let id = await client.rpop(keys.wait); id !== null; id = await client.rpop(keys.wait)) {
          if (id !== "in the way") taken.push(id);
          await client.del(keys.base + id);
        }
        return reply;
      };
      const sent: [number, number][] = [];
      for (const { batch, lost, full, late } of steps) {
        const own = [...open].toSorted((a, b) => a - b)[batch] ?? number(`${producer}-${(jobs += 1)}`);
        sent.push([own, Math.min(...open)]);
        const reply = await send(...sent.at(-1)!, full);
        const delayed = late === null ? undefined : sent.at(-1 - late);
        if (delayed !== undefined) await send(...delayed, false);
        if (lost) continue;
        open.delete(own);
        if (reply.state === "full") number(jobOf.get(own)!);
        else expect(taken).toContain(jobOf.get(own));
      }
      for (const own of open) {
        const reply = await send(own, Math.min(...open), false);
        open.delete(own);
        if (reply.state === "full") number(jobOf.get(own)!);
      }
      expect(taken.toSorted()).toEqual(Array.from({ length: jobs }, (_, n) => `${producer}-${n + 1}`).toSorted());
    }),
    { numRuns: 100 },
  );
});

test("a key of another type fails a put before anything is written", async () => {
  for (const name of ["wait", "delayed", "prioritized", "meta", "events"] as const) {
    const queue = await openQueue();
    await queue.client.set(queue.keys[name], "of another type");
    await expect(put(queue, [newJob("a"), newJob("b", { delayMs: 1000 }), newJob("c", { priority: 1 })])).rejects.toThrow(/WRONGTYPE/);
    expect(await queue.client.exists(...["a", "b", "c"].map((id) => queue.keys.base + id))).toBe(0);
  }
});

test("a full Redis refuses a batch whole, gaps and all, and the same number puts it afterwards", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const { client, keys } = queue;
  const send = (own: number): Promise<PutReply> => putJobs(queue, "u", { own, lowestOpen: 1 }, 0, [newJob(`u${own}`)]);
  await send(3);
  await client.config("SET", "maxmemory", "1");
  for (const own of [4, 2]) await expect(send(own)).rejects.toBeInstanceOf(BackendFullError);
  expect(await client.lrange(keys.wait, "0", "-1")).toEqual(["u3"]);
  await client.config("SET", "maxmemory", "0");
  for (const own of [4, 2, 4]) expect(await send(own)).toEqual(added);
  expect(await waitingIds(queue)).toEqual(["u3", "u4", "u2"]);
});
