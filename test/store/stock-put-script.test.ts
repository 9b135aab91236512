import type { JobJson } from "bullmq";
import { optsEncodeMap } from "bullmq";
import { expect, test } from "vitest";
import type { ForeignClient } from "../../src/redis/foreign-script.ts";
import { addPlainJobs, plainJob, type PlainJob } from "../../src/store/stock-put-script.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { dump, failingAt, READS } from "./failing-script.ts";
import { eventsOf, openQueue, placesOf, waitingIds } from "./opened-queue.ts";

function plain(opts: object, more: Partial<JobJson> = {}, id?: string): PlainJob | undefined {
  return plainJob({ name: "job", data: "{}", timestamp: 5, opts, ...more } as JobJson, id, optsEncodeMap);
}

const add = ({ client, keys }: StoredQueue, jobs: readonly PlainJob[]): Promise<string[]> => addPlainJobs(client as unknown as ForeignClient, keys, jobs);
const jobOf = (id = "", lifo: 0 | 1 = 0): PlainJob => [id, "job", "{}", '{"attempts":0}', 1_700_000_000_000, lifo];

test("a plain job is stored under BullMQ's short names, without what is undefined", () => {
  expect(plain({ attempts: 3, keepLogs: 5, backoff: undefined, removeOnComplete: { age: 5, count: undefined }, lifo: true }, {}, "own")).toEqual([
    "own", "job", "{}", '{"attempts":3,"kl":5,"removeOnComplete":{"age":5},"lifo":true}', 5, 1,
  ]);
});

test.each([
  ["a delay", { delay: 1 }],
  ["a priority", { priority: 1 }],
  ["a deduplication id", { deduplication: { id: "a" } }],
  ["a parent", { parent: { id: "a", queue: "b" } }],
  ["a schedule", { repeat: { every: 5 } }],
  ["telemetry", { telemetry: { metadata: "x" } }],
  ["a null", { removeOnFail: null }],
  ["an array", { tags: ["a"] }],
  ["an empty object, which Lua takes for an array", { extra: {} }],
  ["a number beyond Lua's digits", { attempts: 1_234_567_890_123_457 }],
  ["no number", { attempts: Number.NaN }],
])("a job with %s is for BullMQ's own script", (_what, opts) => expect(plain(opts)).toBeUndefined());

test("so is one that BullMQ has linked, or whose parts are of other types", () => {
  expect([plain({}, { parentKey: "a" }), plain({}, { repeatJobKey: "a" }), plain({}, { deduplicationId: "a" }), plain({}, { name: 5 as never }), plain({}, {}, 5 as never)]).toEqual([
    undefined, undefined, undefined, undefined, undefined,
  ]);
});

test("gives each job BullMQ's next number, or its own id; one that is there already is left alone", async () => {
  const queue = await openQueue();
  expect(await add(queue, [jobOf(), jobOf("own"), jobOf("own"), jobOf("", 1), jobOf()])).toEqual(["1", "own", "own", "4", "5"]);
  expect(await add(queue, [jobOf("own"), jobOf()])).toEqual(["own", "7"]);
  expect(await waitingIds(queue)).toEqual(["4", "1", "own", "5", "7"]);
  expect((await eventsOf(queue)).filter((event) => event.startsWith("duplicated"))).toEqual(["duplicated own", "duplicated own"]);
});

test("an error of any call adds nothing: the same jobs are added afterwards, in their places", async () => {
  const jobs = [jobOf("a"), jobOf(), jobOf("b", 1), jobOf("there")];
  const prepared = async (): Promise<StoredQueue> => {
    const queue = await openQueue();
    await add(queue, [jobOf("there")]);
    await queue.client.hset(queue.keys.meta, "concurrency", 5);
    return queue;
  };
  const probe = failingAt(await prepared(), 0);
  await add(probe.queue, jobs);
  const commands = await probe.calls();
  const firstWrite = commands.findIndex((command) => !READS.has(command));
  expect(commands.length).toBeGreaterThan(15);
  for (let n = 1; n <= commands.length; n += 1) {
    const queue = await prepared();
    const before = await dump(queue);
    const failing = failingAt(queue, n);
    await expect(add(failing.queue, jobs)).rejects.toThrow(/injected/);
    await failing.calls();
    if (n <= firstWrite) expect(await dump(queue)).toEqual(before);
    expect(await waitingIds(queue), `at call ${n}, ${commands[n - 1]}`).toEqual(["there"]);
    const ids = await add(queue, jobs);
    expect(await Promise.all(ids.map((id) => placesOf(queue, id)))).toEqual(ids.map(() => ["wait"]));
    expect((await waitingIds(queue)).length).toBe(4);
  }
}, 60_000);
