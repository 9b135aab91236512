import { expect, test } from "vitest";
import { healthOf, healthOfAll, STARTING } from "../../src/cli/worker-health.ts";
import type { WorkerReport, WorkerState } from "../../src/pool/supervision.ts";
import type { WorkerProcess } from "../../src/pool/worker-process.ts";

const report = (state: WorkerState, rest: Partial<WorkerReport> = {}): WorkerReport => ({ ...STARTING, state, redis: true, running: 1, ...rest });
const worker = (place: number, rest: Partial<Pick<WorkerProcess, "report" | "silentMs">>): WorkerProcess => ({ place, pid: 100 + place, silentMs: 0, ...rest }) as WorkerProcess;

test("a process is ready while it takes jobs and has Redis, and alive as long as it answers", () => {
  const states: readonly WorkerState[] = ["starting", "ready", "quiet", "draining", "stopped"];
  expect(states.map((state) => healthOf(report(state)).ready)).toEqual([false, true, false, false, false]);
  expect(healthOf(report("ready", { redis: false }))).toMatchObject({ live: true, ready: false });
});

test("a supervisor is ready when a process in every place is, whatever else leaves", () => {
  const [one, two] = [worker(1, { report: report("ready") }), worker(2, { report: report("ready") })];
  expect(healthOfAll([one, two], 2, false)).toMatchObject({ ready: true, report: { state: "ready", running: 2, redis: true } });
  expect(healthOfAll([one, two, worker(2, { report: report("draining") })], 2, false).ready).toBe(true);
  expect(healthOfAll([one, worker(1, { report: report("ready") })], 2, false)).toMatchObject({ ready: false, report: { state: "starting" } });
  expect(healthOfAll([one, worker(2, {})], 2, false)).toMatchObject({ ready: false, report: { state: "starting", redis: false } });
  expect(healthOfAll([one, worker(2, { report: report("ready", { redis: false }) })], 2, false)).toMatchObject({ ready: false, report: { state: "ready", redis: false } });
  expect(healthOfAll([one, worker(2, { report: report("quiet") })], 2, false)).toMatchObject({ ready: false, report: { state: "quiet" } });
  expect(healthOfAll([one], 1, false)).toMatchObject({ ready: true });
  expect(healthOfAll([one, two], 2, true)).toMatchObject({ live: true, ready: false, report: { state: "draining" } });
});

test("a supervisor is alive while one of its processes tells of itself, and while none is there", () => {
  const [silent, heard] = [worker(1, { report: report("ready"), silentMs: 31_000 }), worker(2, { silentMs: 29_000 })];
  expect(healthOfAll([silent, heard], 2, false).live).toBe(true);
  expect(healthOfAll([silent], 2, false).live).toBe(false);
  expect(healthOfAll([], 2, false).live).toBe(true);
});
