import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { project, start, type Running } from "../support/command.ts";
import { freshPrefix, redisUrl, startRedis } from "../support/redis.ts";

const HANDLER = `
  import { DeadLetter, defineHandler, defineJob, typed } from "millrace";
  export default defineHandler(defineJob("work", { payload: typed<{ ms?: number; fail?: boolean }>() }), {
    async handle({ ms = 0, fail = false }) {
      if (fail) throw new DeadLetter("told to");
      await new Promise((done) => setTimeout(done, ms));
    },
  });`;

/** Each starts processes, which take their time where others compute. */
const PATIENCE = { timeout: 90_000 };

let cwd: string;
let prefix: string;
let queue: Queue;
beforeEach(() => {
  cwd = project({ "workers/work.ts": HANDLER });
  prefix = freshPrefix();
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  queue = new Queue("work", { connection, prefix });
  onTestFinished(async () => {
    await queue.close();
    connection.disconnect();
  });
});

/** Starts a worker, and gives what asks for its metrics: values by series, as they stand in the text. */
async function scraped(args: readonly string[], redis = redisUrl()): Promise<{ running: Running; ask: () => Promise<Map<string, number>> }> {
  const running = start(["worker", "start", "--health", "0", ...args], { cwd, env: { REDIS_URL: redis, MILLRACE_PREFIX: prefix } });
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  await running.says("worker is ready");
  return {
    running,
    ask: async () => {
      const response = await fetch(`${at}/metrics`);
      expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
      const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
    },
  };
}

const of = (metric: string, labels: string): string => `${metric}{${labels}}`;

test("a worker tells what it ran, for how long, what waits, and how it fares, of jobs that stock BullMQ put", PATIENCE, async () => {
  const { running, ask } = await scraped([]);
  await queue.addBulk([...Array.from({ length: 3 }, () => ({ name: "work", data: { ms: 20 } })), { name: "work", data: { fail: true } }, { name: "work", data: {}, opts: { delay: 3_600_000 } }]);
  const job = 'worker="1",queue="work",job="work"';
  const completed = of("millrace_jobs_completed_total", job);
  await expect.poll(async () => (await ask()).get(completed), { timeout: 20_000 }).toBe(3);
  const told = await ask();
  expect(told.get(of("millrace_jobs_started_total", job))).toBe(4);
  expect(told.get(of("millrace_jobs_failed_total", job))).toBe(1);
  expect(told.get(of("millrace_job_wait_seconds_count", job))).toBe(4);
  expect(told.get(of("millrace_job_run_seconds_count", job))).toBe(4);
  expect(told.get(of("millrace_job_run_seconds_sum", job))).toBeGreaterThan(0.057);
  expect(told.get(of("millrace_job_run_seconds_bucket", `worker="1",le="+Inf",queue="work",job="work"`))).toBe(4);
  expect(told.get(of("millrace_queue_jobs", 'queue="work",state="delayed"'))).toBe(1);
  expect(told.get(of("millrace_queue_jobs", 'queue="work",state="completed"'))).toBe(3);
  for (const name of ["millrace_worker_up", "millrace_worker_ready", "millrace_redis_connected"]) expect([name, told.get(of(name, 'worker="1"'))]).toEqual([name, 1]);
  expect(told.get(of("process_resident_memory_bytes", 'worker="1"'))).toBeGreaterThan(1e7);
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
});

test("a supervisor tells of all its processes, each under its place, the queue's jobs once", PATIENCE, async () => {
  const { running, ask } = await scraped(["--processes", "2"]);
  const up = async (): Promise<(number | undefined)[]> => ["1", "2"].map((place) => told.get(of("millrace_worker_ready", `worker="${place}"`)));
  let told = await ask();
  const look = async () => ((told = await ask()), up());
  await expect.poll(look, { timeout: 30_000 }).toEqual([1, 1]);
  await queue.addBulk(Array.from({ length: 60 }, () => ({ name: "work", data: { ms: 30 } })));
  const total = async (): Promise<number> => {
    told = await ask();
    return ["1", "2"].reduce((sum, place) => sum + (told.get(of("millrace_jobs_completed_total", `worker="${place}",queue="work",job="work"`)) ?? 0), 0);
  };
  await expect.poll(total, { timeout: 20_000 }).toBe(60);
  expect([...told.keys()].filter((series) => series.startsWith("millrace_queue_jobs") && series.includes("completed"))).toEqual([of("millrace_queue_jobs", 'queue="work",state="completed"')]);
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
});

test("a worker without Redis still tells of itself", PATIENCE, async () => {
  const redis = await startRedis();
  const { running, ask } = await scraped([], redis.url);
  expect((await ask()).get(of("millrace_redis_connected", 'worker="1"'))).toBe(1);
  await redis.kill();
  await expect.poll(async () => (await ask()).get(of("millrace_redis_connected", 'worker="1"')), { timeout: 20_000 }).toBe(0);
  expect([...(await ask()).keys()].some((series) => series.startsWith("millrace_queue_jobs"))).toBe(false);
  running.kill("SIGKILL");
  await running.ended;
});
