import { expect, test } from "vitest";
import { endingsInTrail, readEvent } from "../../src/queue/event-trail.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { openQueue } from "../store/opened-queue.ts";

/** Adds events to the queue's stream, each as `name job [field value]…`. */
async function happened({ client, keys }: StoredQueue, ...events: (readonly [string, string, ...string[]])[]): Promise<void> {
  const pipeline = client.pipeline();
  for (const [event, jobId, ...fields] of events) pipeline.xadd(keys.events, "*", "event", event, "jobId", jobId, ...fields);
  await pipeline.exec();
}

test("an entry's fields are read by name, an odd one is left out", () => {
  expect(readEvent(["event", "completed", "jobId", "7", "odd"])).toEqual(new Map([["event", "completed"], ["jobId", "7"]]));
  expect(readEvent([])).toEqual(new Map());
});

test("tells how each job ended, from the newest event back", async () => {
  const queue = await openQueue();
  await happened(
    queue,
    ["completed", "again", "returnvalue", '"first"'],
    ["failed", "f", "failedReason", "no"],
    ["completed", "c", "returnvalue", '{"n":1}', "prev", "active"],
    ["failed", "x", "failedReason", "cancelled: the user has gone"],
    ["completed", "again", "returnvalue", '"second"'],
    ["completed", "other", "returnvalue", "2"],
  );
  expect(await endingsInTrail(queue, ["c", "f", "x", "again", "never"])).toEqual(
    new Map<string, unknown>([
      ["c", { state: "completed", result: '{"n":1}' }],
      ["f", { state: "failed", reason: "no", attempts: 1 }],
      ["x", { state: "cancelled", reason: "the user has gone", attempts: 1 }],
      ["again", { state: "completed", result: '"second"' }],
      ["never", { state: "unknown" }],
    ]),
  );
});

test("what may follow an end does not hide it; attempts are those that were spent", async () => {
  const queue = await openQueue();
  await happened(
    queue,
    ["failed", "f", "failedReason", "no"],
    ["retries-exhausted", "f", "attemptsMade", "4"],
    ["progress", "f", "data", "1"],
    ["removed", "f", "prev", "failed"],
    ["completed", "c", "returnvalue", "1"],
    ["duplicated", "c"],
    ["removed", "c"],
  );
  expect(await endingsInTrail(queue, ["f", "c"])).toEqual(
    new Map<string, unknown>([
      ["f", { state: "failed", reason: "no", attempts: 4 }],
      ["c", { state: "completed", result: "1" }],
    ]),
  );
});

test("a job that went on after an end, or had none, was removed: also where only that is told, or only what came before", async () => {
  const queue = await openQueue();
  await happened(
    queue,
    ["failed", "retried", "failedReason", "no"],
    ["waiting", "retried", "prev", "failed"],
    ["removed", "retried"],
    ["added", "waiting", "name", "job"],
    ["waiting", "waiting"],
    ["removed", "waiting", "prev", "wait"],
    ["active", "swept"],
    ["removed", "trimmed"],
  );
  const ids = ["retried", "waiting", "swept", "trimmed"];
  expect(await endingsInTrail(queue, ids)).toEqual(new Map(ids.map((id) => [id, { state: "removed" }])));
});

test("reads as far back as it must, page by page", async () => {
  const queue = await openQueue();
  await happened(queue, ["completed", "old", "returnvalue", "1"]);
  await happened(queue, ...Array.from({ length: 2500 }, (_, n) => ["completed", `n${n}`, "returnvalue", `${n}`] as const));
  const endings = await endingsInTrail(queue, ["old", "n0", "n999", "n1500", "n2499", "never"]);
  expect(endings.get("old")).toEqual({ state: "completed", result: "1" });
  expect([...endings.keys()].toSorted()).toEqual(["n0", "n1500", "n2499", "n999", "never", "old"]);
  for (const n of [0, 999, 1500, 2499]) expect(endings.get(`n${n}`)).toEqual({ state: "completed", result: `${n}` });
});
