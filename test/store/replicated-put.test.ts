import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { EnqueueTimeoutError, NotReplicatedError } from "../../src/errors.ts";
import { PutLane } from "../../src/store/put.ts";
import { ReplicatedPuts } from "../../src/store/replicated-put.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { failure } from "../support/outcome.ts";
import { startRedis, type OwnRedis } from "../support/redis.ts";
import { replicated } from "../support/sentinel.ts";
import { newJob, openQueue, openReplicatedQueue, waitingIds } from "./opened-queue.ts";

const waits = { waits: true };

interface Pair {
  readonly queue: StoredQueue;
  readonly lane: PutLane;
  readonly replica: OwnRedis;
  /** Plain clients of both. */
  readonly atPrimary: Redis;
  readonly atReplica: Redis;
}

async function startPair(timeoutMs = 3000): Promise<Pair> {
  const opened = await openReplicatedQueue();
  return { ...opened, lane: laneOf(opened.queue, timeoutMs) };
}

function laneOf(queue: StoredQueue, timeoutMs = 1000): PutLane {
  return new PutLane(queue, "p", 0, undefined, new ReplicatedPuts(queue.connections, { replicas: 1, timeoutMs }));
}

test("a durable put is on the replica when it resolves, and one WAIT serves all that are put together", async () => {
  const { queue, lane, atPrimary, atReplica } = await startPair();
  for (let n = 0; n < 20; n += 1) {
    await lane.put(newJob(`a${n}`), waits);
    expect(await atReplica.llen(queue.keys.wait)).toBe(n + 1);
  }
  await atPrimary.config("RESETSTAT");
  await Promise.all(Array.from({ length: 50 }, (_, n) => lane.put(newJob(`b${n}`), waits)));
  expect(await atReplica.llen(queue.keys.wait)).toBe(70);
  expect(await atPrimary.info("commandstats")).toMatch(/cmdstat_wait:calls=1,/);
});

test("where the replica does not answer in time the job is in Redis, its error says so, and its retry waits again", async () => {
  const { queue, lane, replica, atPrimary } = await startPair(1500);
  await lane.put(newJob("a"), waits);
  replica.pause();
  const { error, tookMs } = await failure(lane.put(newJob("b"), waits));
  expect(error).toBeInstanceOf(NotReplicatedError);
  expect(error).toBeInstanceOf(EnqueueTimeoutError);
  expect(error).toMatchObject({ code: "NOT_REPLICATED", jobMayExist: true, replicas: 0 });
  expect(tookMs).toBeLessThan(5000);
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
  const { retry } = error as NotReplicatedError;
  await expect(retry()).rejects.toMatchObject({ jobMayExist: true });
  // On a new connection, which has written nothing yet, replicas that have nothing of it must not count.
  const [durable] = /id=(\d+) (?=.*name=millrace:durable )/.exec(String(await atPrimary.client("LIST")))!.slice(1);
  await atPrimary.client("KILL", "ID", Number(durable));
  await expect(retry()).rejects.toMatchObject({ code: "NOT_REPLICATED" });
  replica.resume();
  await retry();
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
});

test("where there is no replica nothing is put", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const lane = laneOf(queue);
  const { error } = await failure(lane.put(newJob("a"), waits));
  expect(error).toMatchObject({ code: "NOT_REPLICATED", jobMayExist: false, replicas: 0, message: expect.stringContaining("nothing was put") });
  expect(await waitingIds(queue)).toEqual([]);
  const replica = await startRedis({ "repl-diskless-sync-delay": "0", replicaof: `127.0.0.1 ${server.port}` });
  await replicated(server, 1);
  await (error as NotReplicatedError).retry();
  expect(await waitingIds(queue)).toEqual(["a"]);
  await replica.kill();
  const { error: alone } = await failure(lane.put(newJob("b"), waits));
  expect(alone).toMatchObject({ code: "NOT_REPLICATED", jobMayExist: true });
  // On Redis 6 a child that was rewriting the replica's file holds its connection for some seconds more.
  await expect.poll(() => queue.client.info("replication"), { timeout: 15_000 }).toContain("connected_slaves:0");
  expect((await failure(lane.put(newJob("c"), waits))).error).toMatchObject({ code: "NOT_REPLICATED", jobMayExist: false });
});
