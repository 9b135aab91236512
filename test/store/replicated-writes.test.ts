import { expect, test } from "vitest";
import { readRecords, writeRecords, type JobRecord } from "../../src/store/job-records.ts";
import { beginMove, movedKey, park } from "../../src/store/parked.ts";
import { ReplicatedWrites } from "../../src/store/replicated-writes.ts";
import { event, failure } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/sentinel.ts";
import { newJob, openQueue, openReplicatedQueue, putAll } from "./opened-queue.ts";

const NOT_ACKNOWLEDGED = { code: "BACKEND_UNAVAILABLE", mayHaveRun: true, message: expect.stringContaining("expected a replica of ") as string };

async function startPair() {
  const opened = await openReplicatedQueue();
  return { ...opened, writes: new ReplicatedWrites(opened.queue) };
}

test("what was written is on the replica when it resolves", async () => {
  const { queue, writes, atReplica } = await startPair();
  for (let n = 1; n <= 50; n += 1) {
    expect(await writes.do(() => queue.client.rpush("list", n))).toBe(n);
    expect(await atReplica.llen("list")).toBe(n);
  }
});

test("where the server has no replica nothing is waited for; one that had one is waited for although it is gone", async () => {
  const alone = await openQueue({ url: (await startRedis()).url });
  const { tookMs } = await failure(new ReplicatedWrites(alone).do(() => alone.client.set("a", 1)));
  expect(tookMs).toBeLessThan(1500);
  const { queue, writes, replica, atPrimary } = await startPair();
  await writes.do(() => queue.client.set("a", 1));
  await replica.kill();
  await queue.client.client("KILL", "TYPE", "REPLICA");
  expect(await atPrimary.info("replication")).toContain("connected_slaves:0");
  await expect(writes.do(() => queue.client.set("a", 2))).rejects.toMatchObject(NOT_ACKNOWLEDGED);
  expect(await atPrimary.get("a")).toBe("2");
});

test("a batch that is parked or written again is waited for again, on a new connection too", async () => {
  const { queue, writes, primary, replica, atPrimary } = await startPair();
  await putAll(queue, [newJob("a")]);
  const move = await beginMove(queue, { id: "m", to: "there" });
  const batch = { key: movedKey(queue, move.id), number: 1 };
  const parking = () => writes.do(() => park(queue, move.id, "waiting", 0, { jobs: 10, bytes: 1e6 }));
  const { places } = await parking();
  const records: JobRecord[] = (await readRecords(queue, places)).map((record) => ({ ...record, id: "b" }));
  const writing = () => writes.do(() => writeRecords(queue, records, batch));
  await writing();
  for (const work of [parking, writing]) {
    // Of all that was written until now the primary knows that the replica has it.
    await until(primary.port, async (redis) => {
      const [, acknowledged, , offset] = /offset=(\d+)(.|\s)*master_repl_offset:(\d+)/.exec(await redis.info("replication"))!;
      return acknowledged === offset;
    });
    replica.pause();
    const back = event(queue.client, "ready");
    await atPrimary.client("KILL", "ID", await queue.client.client("ID"));
    await back;
    await expect(work()).rejects.toMatchObject(NOT_ACKNOWLEDGED);
    replica.resume();
    await work();
  }
  expect([await parking(), await writing()]).toEqual([{ number: 1, places, passed: 0 }, []]);
}, 30_000);
