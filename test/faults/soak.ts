/** `npm run soak`: load for as long as you like, faults of all kinds at random, the checker at the end, and memory over time. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { monotonicMs } from "../support/journal.ts";
import type { OwnRedis } from "../support/own-redis.ts";
import { drawn } from "../support/plot.ts";
import type { Proxy } from "../support/tcp-proxy.ts";
import type { Actor } from "./actor.ts";
import { contradictions } from "./checker.ts";
import { Stage } from "./stage.ts";
import { subjects } from "./subject.ts";
import { suiteServer } from "./suite-server.ts";

const usage = `npm run soak -- [--minutes M] [--seed S] [--report DIR] [--containers]

  --minutes M   how long the load goes on (10)
  --seed S      repeats which faults come when
  --report DIR  writes soak.svg, the memory of the workers and of Redis over time, there (.)
  --containers  runs Redis in a container, where a Docker engine answers (or FAULTS_CONTAINERS=1)

Ends with 0 when nothing was lost, doubled or left behind, and 5 otherwise.`;

const WORKERS = 3;
const OPTIONS = { concurrency: 20, keeps: 1000, drainMs: 2000, graceMs: 1000 } as const;
const SAMPLE_MS = 1000;
const EXIT_FINDINGS = 5;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string" }, report: { type: "string", default: "." }, containers: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
if (values.help || !(minutes > 0) || !Number.isInteger(seed)) {
  console[values.help ? "log" : "error"](usage);
  process.exit(values.help ? 0 : 2);
}

const { program: serverProgram } = await suiteServer(values.containers);
const stage = new Stage({ subject: await subjects.millrace(), seed, serverProgram });
const found = await soak(stage).finally(() => stage.end(false));
console.log(found.length === 0 ? "nothing lost, nothing twice, nothing left" : found.slice(0, 20).join("\n"));
if (found.length > 0) process.exitCode = EXIT_FINDINGS;

async function soak(stage: Stage): Promise<string[]> {
  const redis = await stage.redis();
  const [toProducer, toWorkers] = [await stage.proxy(redis), await stage.proxy(redis)];
  const producer = await stage.producer(toProducer.url, OPTIONS);
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => stage.worker(toWorkers.url, OPTIONS)));
  const startedAt = monotonicMs();
  const memory = watch(redis, workers, startedAt);
  const loaded = producer.load(stage.works(1, "sleep", [50])[0]!, { lanes: 5, pauseMs: 50 });
  const faults = faultsOf(stage, redis, [toProducer, toWorkers], workers, toWorkers.url);
  const marks: number[] = [];
  const counts: Record<string, number> = {};
  while (monotonicMs() - startedAt < minutes * 60_000) {
    await stage.pause(stage.between(500, 6000));
    const names = Object.keys(faults);
    const name = names[Math.floor(stage.random() * names.length)]!;
    counts[name] = (counts[name] ?? 0) + 1;
    marks.push((monotonicMs() - startedAt) / 1000);
    await faults[name]!();
  }
  await producer.rest();
  await loaded;
  await stage.comesTrue(() => stage.unfinished().length === 0);
  const series = memory.stop();
  const title = `${minutes} min of load, seed ${seed}; a line for each of ${marks.length} faults`;
  const axes = { x: { shown: (seconds: number) => `${(seconds / 60).toFixed(1)} min` }, y: { shown: (megabytes: number) => `${megabytes} MB` } };
  writeFileSync(join(values.report, "soak.svg"), drawn([{ title, series, ...axes, marks }]));
  const stored = await stage.stored();
  const entries = stage.entries();
  const [put, refused, started] = (["acknowledged", "refused", "started"] as const).map((did) => entries.filter((entry) => entry.did === did).length);
  console.log(JSON.stringify({ seed, minutes, faults: counts, acknowledged: put, refused, started }));
  const left = stored.filter(({ states }) => !states.includes("completed"));
  return [...contradictions(entries, stored, { removes: true }), ...left.map(({ n, states, failedReason }) => `${n}: ${states.join()} at the end: ${failedReason ?? ""}`)];
}

function faultsOf(stage: Stage, redis: OwnRedis, proxies: readonly Proxy[], workers: Actor[], workerUrl: string): Readonly<Record<string, () => Promise<void>>> {
  const one = (): number => Math.floor(stage.random() * workers.length);
  const replaced = async (at: number): Promise<void> => {
    workers[at] = await stage.worker(workerUrl, OPTIONS);
  };
  return {
    "a worker killed": async () => {
      const at = one();
      workers[at]!.kill("SIGKILL");
      await replaced(at);
    },
    "a worker restarted": async () => {
      const at = one();
      const leaving = workers[at]!;
      await replaced(at);
      leaving.kill("SIGTERM");
      await stage.until(() => leaving.isOver);
    },
    "a worker stopped in its tracks": async () => {
      const worker = workers[one()]!;
      worker.kill("SIGSTOP");
      await stage.pause(stage.between(1000, 20_000));
      worker.kill("SIGCONT");
    },
    "Redis killed": async () => {
      await redis.kill();
      await stage.pause(stage.between(0, 3000));
      await redis.start();
    },
    "Redis restarted": async () => {
      await redis.stop();
      await redis.start();
    },
    "Redis paused": async () => {
      redis.pause();
      await stage.pause(stage.between(500, 15_000));
      redis.resume();
    },
    "replies lost": async () => {
      for (const proxy of proxies) if (stage.random() < 0.7) proxy.loseReplies();
    },
    "connections silent": async () => {
      for (const proxy of proxies) if (stage.random() < 0.7) proxy.silence();
    },
    "connections slow": async () => {
      for (const proxy of proxies) proxy.delay(stage.between(50, 500));
      await stage.pause(stage.between(1000, 10_000));
      for (const proxy of proxies) proxy.delay(0);
    },
    "Redis full": async () => {
      const client = new Redis(redis.url);
      await client.config("SET", "maxmemory", "1mb");
      await stage.pause(stage.between(500, 3000));
      await client.config("SET", "maxmemory", "0");
      client.disconnect();
    },
  };
}

/** The memory of Redis, and of the largest worker, over time. */
function watch(redis: OwnRedis, workers: readonly Actor[], startedAt: number) {
  const points = { redis: [] as [number, number][], worker: [] as [number, number][] };
  const look = (): void => {
    const seconds = (monotonicMs() - startedAt) / 1000;
    points.worker.push([seconds, Math.max(...workers.map(({ pid }) => residentMegabytes(pid)))]);
    points.redis.push([seconds, residentMegabytes(redis.pid)]);
  };
  const timer = setInterval(look, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return [
        { name: "resident memory of the largest worker", colour: "#1f5fa8", points: points.worker },
        { name: "resident memory of Redis", colour: "#a83232", points: points.redis },
      ];
    },
  };
}

/** 0 for a process that is just gone. */
function residentMegabytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
