/** Takes one reading of one side: runs its processes, reads what its server took meanwhile, and checks that all was done. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Kind, type Reading, type Side, warmUpOf, type Work } from "./measure.ts";
import { demoReading, loopReading, startReading } from "./program-reading.ts";
import { percentile } from "./statistics.ts";
import type { Store } from "./store.ts";
import { subjects } from "./subject.ts";
import type { Turn } from "./turn.ts";
import { TurnProcess } from "./turn-process.ts";

/** Long enough for a worker to have acknowledged and to wait again, so that a put meets an idle one. */
const IDLE_MS = 10;

/** @param profile  where a CPU profile of the process that is measured is to be written */
export async function takeReading(side: Side, store: Store, profile?: string): Promise<Reading> {
  const { subject, work } = side;
  const queues = Array.from({ length: work.queues }, (_, at) => `bench-${at}`);
  const turns: TurnProcess[] = [];
  const turn = (role: Turn["role"]): TurnProcess => {
    const started = new TurnProcess({ subject, role, url: store.url, queues, work, profile: role === "fill" ? undefined : profile });
    turns.push(started);
    return started;
  };
  await store.reset();
  try {
    if (work.kind === "demo") return await demoReading(work.jobs, store);
    if (work.kind === "loop") return await loopReading(work.jobs, work.width, store);
    if (work.kind === "start") {
      await turn("fill").ended();
      return await startReading(subject, store.url);
    }
    const { reading, put, calls } = await takers[work.kind](turn, work, store);
    const found = await (await subjects[subject]()).count(store.url, queues);
    const right = found.waiting + calls === put && found.active === 0 && found.failed === 0;
    // One that loses or leaves work would be fast.
    if (!right) throw new Error(`expected ${put} jobs to be consumed or waiting after the turn, got ${calls} consumed, ${JSON.stringify(found)}`);
    return reading;
  } finally {
    for (const each of turns) each.kill();
  }
}

type StartTurn = (role: Turn["role"]) => TurnProcess;
/** What was read, how many jobs were put, and how often the handler was called. */
interface Took {
  readonly reading: Reading;
  readonly put: number;
  readonly calls: number;
}

const takers: Record<Exclude<Kind, "start" | "demo" | "loop">, (turn: StartTurn, work: Work, store: Store) => Promise<Took>> = {
  async consume(turn, work, store) {
    await turn("fill").ended();
    const { reading, calls } = await costs(Array.from({ length: work.processes }, () => turn("consume")), work, store);
    return { reading, calls, put: filled(work) };
  },
  put: putting,
  "put-many": putting,
  async memory(turn, work, store) {
    const before = await store.memory();
    await turn("fill").ended();
    const put = filled(work);
    return { reading: { bytes: ((await store.memory()) - before) / put }, calls: 0, put };
  },
  async latency(turn, work) {
    const [serve, ping] = [turn("serve"), turn("ping")];
    await Promise.all([serve.told("ready"), ping.told("ready")]);
    const all = warmUpOf(work) + work.jobs;
    for (let left = work.pace === 0 ? all : 1; left > 0; left -= 1) {
      await sleep(IDLE_MS);
      ping.tell("put");
      await Promise.all([serve.told("called"), ping.told("put")]);
    }
    ping.tell("close");
    serve.tell("close");
    const [{ calls, latenciesUs }] = await Promise.all([serve.ended(), ping.ended()]);
    const counted = latenciesUs.slice(warmUpOf(work));
    return { reading: { p50Us: percentile(counted, 0.5), p99Us: percentile(counted, 0.99) }, calls, put: all };
  },
};

async function putting(turn: StartTurn, work: Work, store: Store): Promise<Took> {
  const { reading } = await costs([turn("put")], work, store);
  return { reading, calls: 0, put: filled(work) };
}

async function costs(turns: readonly TurnProcess[], { jobs }: Work, store: Store): Promise<{ reading: Reading; calls: number }> {
  // Together, or the first would have consumed it all before the second is there.
  await Promise.all(turns.map((turn) => turn.told("ready")));
  for (const turn of turns) turn.tell("go");
  await Promise.all(turns.map((turn) => turn.told("begin")));
  const before = await store.cpuUs();
  for (const turn of turns) turn.tell("go");
  const ends = await Promise.all(turns.map((turn) => turn.told("end")));
  const after = await store.cpuUs();
  for (const turn of turns) turn.tell("close");
  const closed = await Promise.all(turns.map((turn) => turn.ended()));
  const jobsPerSecond = ends.reduce((sum, { seconds }) => sum + jobs / turns.length / seconds, 0);
  const cpuUs = ends.reduce((sum, end) => sum + end.cpuUs, 0);
  return { reading: { jobsPerSecond, processUs: cpuUs / jobs, storeUs: (after - before) / jobs }, calls: closed.reduce((sum, { calls }) => sum + calls, 0) };
}

/** As a turn that fills does. */
function filled(work: Work): number {
  return Math.ceil((warmUpOf(work) + work.jobs + work.waiting) / work.queues) * work.queues;
}
