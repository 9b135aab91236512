import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { definitionOf, defineJob, type Job } from "../../src/job/contract.ts";
import { admit } from "../../src/queue/admission.ts";
import { Connections } from "../../src/redis/connection.ts";
import { readStoredJob } from "../../src/store/stored-job.ts";
import { storedQueue } from "../../src/store/stored-queue.ts";
import { recordedLog } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const work = definitionOf(defineJob("work", { payload: z.object({ n: z.int().default(7) }) }) as Job);
const leased = (fields: Readonly<Record<string, string>>) => ({ job: readStoredJob("id", Object.entries({ name: "work", ...fields }).flat()), token: "t", fence: 1 });

async function setUp(unknownForMs = 3_600_000) {
  const connections = new Connections(redisUrl());
  onTestFinished(() => connections.close());
  await connections.open();
  const log = recordedLog();
  return { connections, queue: storedQueue(connections, freshPrefix(), "work"), rules: { unknownForMs, log }, log };
}

test("gives the payload as the contract reads it", async () => {
  const { queue, rules } = await setUp();
  expect(await admit(queue, leased({ data: "{}" }), work, rules)).toEqual({ payload: { n: 7 } });
});

test("what fits no version, and what is gone, fails for good, known or not", async () => {
  const { queue, rules } = await setUp();
  expect(await admit(queue, leased({ data: '{"n":"x"}' }), work, rules)).toMatchObject({ settlement: { kind: "fail", reason: expect.stringMatching(/payload\.n/) } });
  for (const definition of [work, undefined]) {
    expect(await admit(queue, leased({}), definition, rules)).toMatchObject({ settlement: { kind: "fail", reason: expect.stringMatching(/gone from Redis/) } });
  }
});

test("what BullMQ wants failed fails, also where nobody knows it", async () => {
  const { queue, rules } = await setUp();
  for (const definition of [work, undefined]) {
    expect(await admit(queue, leased({ data: "{}", defa: "child failed" }), definition, rules)).toMatchObject({ settlement: { kind: "fail", reason: "child failed" } });
  }
});

test("what nobody knows is given back for as long again as it has waited, a minute at most, and then fails", async () => {
  const { queue, rules, connections } = await setUp();
  const now = connections.clock.now();
  const after = async (waitedMs: number) => {
    const admission = await admit(queue, leased({ data: "{}", ...(waitedMs > 0 && { mu: String(now - waitedMs) }) }), undefined, rules);
    if (!("settlement" in admission)) throw new Error("expected a settlement");
    return admission.settlement;
  };
  expect(await after(0)).toMatchObject({ kind: "release", unknown: true, delayMs: 1000 });
  const later = await after(20_000);
  expect(later).toMatchObject({ kind: "release", unknown: true });
  if (later.kind === "release") expect(Math.abs(later.delayMs - 20_000)).toBeLessThan(1000);
  expect(await after(600_000)).toMatchObject({ delayMs: 60_000 });
  // Not a minute more than it may wait in all.
  const last = await after(3_590_000);
  if (last.kind === "release") expect(last.delayMs).toBeLessThanOrEqual(10_000);
  expect(await after(3_600_001)).toMatchObject({ kind: "fail", reason: expect.stringMatching(/no handler here knows job work, for 3600 s/) });
});

test("a newer version is unknown here, not wrong", async () => {
  const { queue, rules } = await setUp();
  expect(await admit(queue, leased({ data: "[]", opts: '{"mv":2}' }), work, rules)).toMatchObject({ settlement: { kind: "release", unknown: true } });
});

test("a run whose successor cannot be planned because Redis is away does not start: the schedule would end with it", async () => {
  const { queue, rules, connections, log } = await setUp();
  const run = leased({ data: "{}", rjk: "often", opts: '{"repeat":{"every":1000},"prevMillis":1}' });
  await connections.close();
  expect(await admit(queue, run, work, rules)).toEqual({ settlement: { leased: run, kind: "release", delayMs: 1000 } });
  expect(log.lines).toMatchObject([{ level: "error", fields: { schedule: "often" } }]);
});

test("a run whose schedule makes no sense starts all the same, and the log says so", async () => {
  const { queue, rules, log } = await setUp();
  const run = leased({ data: "{}", rjk: "never", opts: '{"repeat":{"pattern":"not a pattern"}}' });
  expect(await admit(queue, run, work, rules)).toEqual({ payload: { n: 7 } });
  expect(log.lines).toMatchObject([{ level: "error", fields: { schedule: "never" } }]);
});
