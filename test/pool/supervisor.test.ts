import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { PLACE_VARIABLE } from "../../src/pool/supervision.ts";
import { Supervisor, type SupervisorOptions } from "../../src/pool/supervisor.ts";
import { recordedLog, until } from "../support/app.ts";
import type { Manner } from "./obedient.ts";

const program = fileURLToPath(new URL("obedient.ts", import.meta.url));

/** A supervisor of processes that behave as said: one manner a start, the last one for all further starts. */
function supervise(processes: number, manners: readonly Manner[], { maxJobs, maxStuck = 10, stop = 20_000, hurry = 20_000 }: { maxJobs?: number; maxStuck?: number; stop?: number; hurry?: number } = {}) {
  const log = recordedLog();
  const started: { readonly child: ChildProcess; readonly place: number; said: string }[] = [];
  const events: Record<string, unknown>[] = [];
  let most = 0;
  const start: SupervisorOptions["fork"] = (place) => {
    const manner = manners[Math.min(started.length, manners.length - 1)]!;
    const child = fork(program, [manner], { env: { ...process.env, [PLACE_VARIABLE]: String(place) }, execArgv: [], stdio: ["ignore", "pipe", "inherit", "ipc"] });
    const one = { child, place, said: "" };
    child.stdout?.on("data", (chunk: Buffer) => (one.said += chunk.toString()));
    started.push(one);
    most = Math.max(most, started.filter((each) => each.child.exitCode === null && each.child.signalCode === null).length);
    return child;
  };
  const limits = { maxRssBytes: undefined, maxJobs, maxStuck };
  const supervisor = new Supervisor({ processes, fork: start, limits, withinMs: { stop, hurry }, log, onEvent: (event) => events.push(event) });
  onTestFinished(() => started.forEach(({ child }) => child.kill("SIGKILL")));
  const readyCount = (): number => supervisor.alive.filter(({ report }) => report?.state === "ready").length;
  return { supervisor, started, events, log, readyCount, most: () => most };
}

test("runs so many, and starts another in the place of one that is killed", async () => {
  const { supervisor, started, events, readyCount } = supervise(3, ["well"]);
  await until(() => readyCount() === 3);
  expect(started.map(({ place }) => place)).toEqual([1, 2, 3]);
  started[1]?.child.kill("SIGKILL");
  await until(() => started.length === 4 && readyCount() === 3);
  expect(started[3]?.place).toBe(2);
  expect(events).toEqual([{ event: "lost", worker: started[1]?.child.pid, place: 2, code: null, signal: "SIGKILL", restartInMs: 0 }]);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
  expect(started).toHaveLength(4);
});

test("ends with the code of the first when that cannot start, and starts no other", async () => {
  const { supervisor, started } = supervise(5, ["refuses"]);
  expect(await supervisor.done).toBe(4);
  expect(started).toHaveLength(1);
});

test("goes on when one cannot start after others could", async () => {
  const { supervisor, started, events, readyCount } = supervise(1, ["well", "refuses", "well"]);
  await until(() => readyCount() === 1);
  started[0]?.child.kill("SIGKILL");
  await until(() => started.length === 3 && readyCount() === 1);
  expect(events).toMatchObject([{ signal: "SIGKILL" }, { code: 4, restartInMs: 500 }]);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});

test("pauses longer each time before it starts what keeps crashing, and ends at once when it is told to", async () => {
  const { supervisor, events } = supervise(1, ["crashes"]);
  await until(() => events.length === 3);
  expect(events).toMatchObject([0, 500, 1000].map((restartInMs) => ({ event: "lost", code: 1, restartInMs })));
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
  expect(events).toHaveLength(3);
});

test("replaces who has done its share: one after the other, and only by one that is ready", async () => {
  const { supervisor, started, events, readyCount, most } = supervise(3, ["spent", "spent", "spent", "well"], { maxJobs: 10 });
  await until(() => events.length === 3 && supervisor.alive.length === 3 && readyCount() === 3);
  expect(events).toEqual(started.slice(0, 3).map(() => expect.objectContaining({ event: "recycled", reason: "max-jobs", jobs: 10 }) as object));
  expect(new Set(events.map(({ successor }) => successor))).toEqual(new Set(started.slice(3).map(({ child }) => child.pid)));
  expect(started.slice(0, 3).map(({ said }) => said)).toEqual(Array(3).fill("stop by SIGTERM\n"));
  expect(most()).toBe(4);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});

test("replaces a process in which more handlers than it may hold are stuck", async () => {
  const { supervisor, started, events, readyCount } = supervise(2, ["stuck", "well"], { maxStuck: 2 });
  await until(() => events.length === 1 && supervisor.alive.length === 2 && readyCount() === 2);
  expect(events).toEqual([expect.objectContaining({ event: "recycled", worker: started[0]?.child.pid, reason: "max-stuck", stuck: 3 })]);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});

test("keeps who has done its share while nobody can take its place", async () => {
  const { supervisor, started, events, readyCount } = supervise(1, ["spent", "refuses", "refuses", "well"], { maxJobs: 10 });
  await until(() => started.length === 3);
  expect(started[0]?.child.exitCode).toBeNull();
  await until(() => started.length === 4 && supervisor.alive.length === 1 && readyCount() === 1);
  expect(events).toMatchObject([{ event: "lost", code: 4 }, { event: "lost", code: 4 }, { event: "recycled", worker: started[0]?.child.pid }]);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});

test("hands on each order once, and ends when all have", async () => {
  const { supervisor, started, readyCount } = supervise(2, ["busy"]);
  await until(() => readyCount() === 2);
  supervisor.order({ order: "stop", by: "SIGINT" });
  await until(() => started.every(({ said }) => said === "stop by SIGINT\n"));
  supervisor.order({ order: "hurry", by: "SIGINT" });
  expect(await supervisor.done).toBe(0);
  expect(started.map(({ said }) => said)).toEqual(Array(2).fill("stop by SIGINT\nhurry by SIGINT\n"));
});

test("an order reaches a process that has only just been started", async () => {
  const { supervisor, started } = supervise(2, ["well"]);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
  expect(started.map(({ said }) => said)).toEqual(["stop by SIGTERM\n"]);
});

test("kills who does not end in its time, and says so with its code", async () => {
  const { supervisor, events, readyCount } = supervise(1, ["deaf"], { stop: 200 });
  await until(() => readyCount() === 1);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(1);
  expect(events).toMatchObject([{ event: "killed" }]);
});

test("leaves the place of one that an operator has ended empty, and ends when all are", async () => {
  const { supervisor, started, events, readyCount } = supervise(2, ["well", "leaves", "leaves"]);
  await until(() => supervisor.places === 1);
  expect(events).toEqual([{ event: "left", worker: started[1]?.child.pid, place: 2 }]);
  await until(() => readyCount() === 1);
  started[0]?.child.kill("SIGKILL");
  expect(await supervisor.done).toBe(0);
  expect(started).toHaveLength(3);
  expect(supervisor.places).toBe(0);
});

test("replaces one that an operator wants another for, which starts first", async () => {
  const { supervisor, started, events, readyCount, most } = supervise(1, ["renewed", "well"]);
  await until(() => events.some(({ event }) => event === "recycled") && supervisor.alive.length === 1 && readyCount() === 1);
  expect(events).toEqual([{ event: "recycled", worker: started[0]?.child.pid, place: 1, reason: "restart", successor: started[1]?.child.pid }]);
  expect(started[0]?.said).toBe("stop by SIGTERM\n");
  expect(most()).toBe(2);
  expect(supervisor.places).toBe(1);
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});

test("hands on what is to be quiet, also to who starts later, until they are to go on", async () => {
  const { supervisor, started, readyCount } = supervise(2, ["well"]);
  await until(() => readyCount() === 2);
  supervisor.steer({ order: "quiet" });
  supervisor.steer({ order: "dump" });
  await until(() => started.every(({ said }) => said === "quiet\ndump\n"));
  started[0]?.child.kill("SIGKILL");
  await until(() => started[2]?.said === "quiet\n");
  supervisor.steer({ order: "resume" });
  await until(() => started[1]?.said === "quiet\ndump\nresume\n" && started[2]?.said === "quiet\nresume\n");
  started[1]?.child.kill("SIGKILL");
  await until(() => started.length === 4 && readyCount() === 2);
  expect(started[3]?.said).toBe("");
  supervisor.order({ order: "stop", by: "SIGTERM" });
  expect(await supervisor.done).toBe(0);
});
