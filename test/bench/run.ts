/** Takes one reading of one subject: fills its queue, runs its processes, reads the CPU that Redis took meanwhile. */
import { fork, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { warmUpOf, type Measure, type Reading } from "./measure.ts";
import { percentile } from "./statistics.ts";
import { settings } from "./subject.ts";
import type { Told, Turn } from "./turn.ts";

/** Long enough for a worker to have acknowledged and to wait again, so that a put meets an idle one. */
const IDLE_MS = 10;
/** Nothing here takes that long; a subject that hangs is a failure, not a wait. */
const TURN_MS = 120_000;

export async function takeReading(measure: Measure, subject: Turn["subject"], redisUrl: string, queueName: string, profile?: string): Promise<Reading> {
  const redis = new Redis(redisUrl);
  const turn = (role: Turn["role"]) => new TurnProcess({ subject, role, redisUrl, queueName, measure, profile: role === "fill" ? undefined : profile });
  try {
    await redis.flushall();
    if (measure.kind === "consume") await turn("fill").ended();
    const isPut = measure.kind === "put" || measure.kind === "putMany";
    const reading = await (measure.kind === "latency"
      ? latency(turn("serve"), turn("ping"), measure)
      : costs(turn(isPut ? "put" : "consume"), measure, redis));
    const all = warmUpOf(measure) + measure.jobs;
    await assertDone(redis, queueName, isPut ? { waiting: all, completed: 0 } : { waiting: 0, completed: all });
    return reading;
  } finally {
    redis.disconnect();
  }
}

async function costs(process: TurnProcess, { jobs }: Measure, redis: Redis): Promise<Reading> {
  await process.told("begin");
  const before = await cpuOf(redis);
  process.tell("go");
  const { seconds, cpuUs } = await process.told("end");
  const after = await cpuOf(redis);
  process.tell("close");
  await process.ended();
  return { jobsPerSecond: jobs / seconds, processUs: cpuUs / jobs, redisUs: (after - before) / jobs };
}

async function latency(serve: TurnProcess, ping: TurnProcess, measure: Measure): Promise<Reading> {
  await Promise.all([serve.told("ready"), ping.told("ready")]);
  const latenciesUs: number[] = [];
  for (let job = -warmUpOf(measure); job < measure.jobs; job += 1) {
    await sleep(IDLE_MS);
    const both = Promise.all([serve.told("called"), ping.told("put")]);
    ping.tell("put");
    const [{ latencyUs }] = await both;
    if (job >= 0) latenciesUs.push(latencyUs);
  }
  ping.tell("close");
  serve.tell("close");
  await Promise.all([ping.ended(), serve.ended()]);
  return { p50Us: percentile(latenciesUs, 0.5), p99Us: percentile(latenciesUs, 0.99) };
}

/** A subject that loses or leaves work would be fast: what was put must wait, what was consumed must be completed. */
async function assertDone(redis: Redis, queueName: string, expected: { waiting: number; completed: number }): Promise<void> {
  const key = (name: string) => `bull:${queueName}:${name}`;
  const found = {
    waiting: await redis.llen(key("wait")),
    active: await redis.llen(key("active")),
    completed: await redis.zcard(key("completed")),
    failed: await redis.zcard(key("failed")),
  };
  // Retention may lag behind, never go ahead.
  const kept = Math.min(expected.completed, settings.keepCompleted);
  const right = found.waiting === expected.waiting && found.active === 0 && found.completed >= kept && found.failed === 0;
  if (!right) throw new Error(`expected ${JSON.stringify(expected)} after the turn, got ${JSON.stringify(found)}`);
}

/** CPU that the server has taken since its start, in microseconds. */
async function cpuOf(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const seconds = (field: string) => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(info)?.[1]);
  return (seconds("used_cpu_sys") + seconds("used_cpu_user")) * 1e6;
}

class TurnProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #arrived: Told[] = [];
  readonly #news = new EventEmitter();

  constructor(turn: Turn) {
    this.#child = fork(new URL("turn.ts", import.meta.url), [JSON.stringify(turn)], {
      execArgv: ["--conditions=millrace-source"],
      env: { ...process.env, NODE_ENV: "production" },
      timeout: TURN_MS,
      killSignal: "SIGKILL",
    });
    this.#child.on("message", (told: Told) => {
      this.#arrived.push(told);
      this.#news.emit("news");
    });
    this.#exit = this.#untilExit(`${turn.subject} (${turn.role}, ${turn.measure.name})`);
    // Whoever waits for a message or the end hears of it; nobody may be waiting just then.
    this.#exit.catch(() => undefined);
  }

  async #untilExit(name: string): Promise<void> {
    const [code, signal] = (await once(this.#child, "exit")) as [number | null, string | null];
    if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}`);
  }

  /** The next message, which must be of that name. */
  async told<N extends Told["told"]>(name: N): Promise<Extract<Told, { told: N }>> {
    if (this.#arrived.length === 0) await Promise.race([once(this.#news, "news"), this.#exit]);
    const told = this.#arrived.shift();
    if (told?.told !== name) throw new Error(`expected a turn to tell "${name}", got ${told?.told ?? "its end"}`);
    return told as Extract<Told, { told: N }>;
  }

  tell(message: "go" | "put" | "close"): void {
    this.#child.send(message);
  }

  ended(): Promise<void> {
    return this.#exit;
  }
}
