import { fork, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { PLACE_VARIABLE } from "../../src/pool/supervision.ts";
import { WorkerProcess } from "../../src/pool/worker-process.ts";
import { until } from "../support/app.ts";
import type { Manner } from "./obedient.ts";

function started(manner: Manner) {
  const child = fork(fileURLToPath(new URL("obedient.ts", import.meta.url)), [manner], { env: { ...process.env, [PLACE_VARIABLE]: "1" }, execArgv: [], silent: true });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, worker: new WorkerProcess(child, 1) };
}

test("gives the first that is found in what it tells, and nothing once it has ended", async () => {
  const { child, worker } = started("well");
  expect([worker.pid, worker.wasReady, worker.report]).toEqual([child.pid, false, undefined]);
  const never = worker.firstOf(({ ended }) => (ended > 99 ? "many" : undefined));
  expect(await worker.firstOf(({ state }) => state)).toBe("ready");
  expect(await worker.firstOf(({ rssBytes }) => rssBytes)).toBe(1);
  expect(worker.wasReady).toBe(true);
  expect(worker.silentMs).toBeLessThan(worker.livedMs);
  worker.order({ order: "stop", by: "SIGTERM" }, 20_000);
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(worker.over.aborted).toBe(true);
  expect(await never).toBeUndefined();
  expect(await worker.firstOf(() => true)).toBeUndefined();
  const { livedMs } = worker;
  await until(() => worker.silentMs > livedMs);
  expect(worker.livedMs).toBe(livedMs);
});

test("one whose channel was closed by what it runs is told by a signal", async () => {
  const { child, worker } = started("deaf");
  await worker.firstOf(() => true);
  child.disconnect();
  worker.order({ order: "stop", by: "SIGTERM" }, 20_000);
  // It takes a lost channel for a lost supervisor, and ends with 0; the signal may come first.
  expect([0, null]).toContain((await worker.ended).code);
  expect(worker.killed).toBe(false);
});

test("one that could not be started has ended", async () => {
  const worker = new WorkerProcess(spawn("/no/such/program"), 1);
  expect(await worker.ended).toEqual({ code: null, signal: null });
  worker.order({ order: "stop", by: "SIGTERM" }, 0);
  expect(worker.pid).toBeUndefined();
});
