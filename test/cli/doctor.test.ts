import { expect, test } from "vitest";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";

/** Each starts several processes, which take their time where others compute. */
const PATIENCE = { timeout: 90_000 };

async function scene(): Promise<{ env: Record<string, string>; prefix: string; url: string }> {
  const { url } = await startRedis();
  const prefix = freshPrefix();
  return { url, prefix, env: { REDIS_URL: url, MILLRACE_PREFIX: prefix } };
}

test("says that nothing is wrong with 0, and what with 5: for people with evidence and remedy, for programs one a line", PATIENCE, async () => {
  const { env, prefix, url } = await scene();
  const empty = await millrace(["doctor"], { env });
  expect(empty).toMatchObject({ code: 0, stdout: "", stderr: expect.stringMatching(/^nothing found: looked at Redis \d.*, 0 queues, 0 workers\n$/) as string });
  expect(await millrace(["doctor", "--json"], { env })).toEqual({ code: 0, stdout: "", stderr: "" });
  const stock = stockQueue(prefix, "mail", url);
  await stock.add("n", 1, { timestamp: Date.now() - 60_000 });
  const [text, json] = await Promise.all([millrace(["doctor"], { env }), millrace(["admin", "doctor", "--deep", "--json"], { env })]);
  expect(text).toMatchObject({ code: 5, stderr: expect.stringContaining("1 finding: looked at Redis") as string });
  expect(text.stdout.split("\n")).toEqual([
    "error queue mail",
    "  nobody consumes it, and jobs wait",
    expect.stringMatching(/^ {2}waiting 1, oldest waiting 1 min \d+ s, quiet workers 0$/) as string,
    "  > millrace worker start, where its handlers are",
    "",
  ]);
  expect(json).toMatchObject({ code: 5, stderr: "" });
  expect(JSON.parse(json.stdout)).toEqual({
    finding: "unconsumed",
    severity: "error",
    subject: "queue mail",
    message: "nobody consumes it, and jobs wait",
    evidence: { waiting: 1, oldestWaitingMs: expect.any(Number) as number, quietWorkers: 0 },
    remedy: "millrace worker start, where its handlers are",
  });
});

test("refuses a flag that it does not have, and says when it cannot reach Redis", PATIENCE, async () => {
  expect(await millrace(["doctor", "--deap"], { env: {} })).toMatchObject({ code: 2, stderr: expect.stringContaining("--deap") as string });
  expect(await millrace(["doctor"], { env: { REDIS_URL: "redis://127.0.0.1:1" } })).toMatchObject({ code: 6 });
});

test("evidence is told in words and units", PATIENCE, async () => {
  const { env, prefix, url } = await scene();
  const stock = stockQueue(prefix, "mail", url);
  const worker = await stockWorker(prefix, () => Promise.reject(new Error("no")), { connection: { url, maxRetriesPerRequest: null } }, "mail");
  await stock.addBulk(Array.from({ length: 6 }, () => ({ name: "n", data: 1 })));
  await until(async () => (await stock.getFailedCount()) === 6);
  await worker.close();
  await redisClient(url).config("SET", "appendonly", "no");
  expect((await millrace(["doctor"], { env })).stdout).toBe("warning redis\n  nothing is persisted: a restart of the server loses every job\n  appendonly no, save \"\"\n  > redis-cli CONFIG SET appendonly yes\nwarning queue mail\n  dead letters rise: 6 jobs failed for good in the last 10 min\n  last 10 min 6, hour before 0\n  > millrace dead list mail\n");
});

test("what is not known of a job is not told", PATIENCE, async () => {
  const { env, prefix, url } = await scene();
  await stockQueue(prefix, "mail", url).add("n", 1, { jobId: "left" });
  const client = redisClient(url);
  await client.lmove(`${prefix}:mail:wait`, `${prefix}:mail:active`, "RIGHT", "LEFT");
  await client.hset(`${prefix}:mail:left`, "processedOn", Date.now() - 60_000);
  expect((await millrace(["doctor"], { env })).stdout).toMatch(/^ {2}jobs \(id left started \S+Z\)$/m);
});

test("every line fits a terminal of 80 columns", PATIENCE, async () => {
  const { env, prefix, url } = await scene();
  const stock = stockQueue(prefix, "mail", url);
  await stock.add("n", 1, { timestamp: Date.now() - 60_000 });
  for (let n = 0; n < 9; n += 1) await redisClient(url).hset(`${prefix}:mail:${"long".repeat(10)}${n}`, "name", "n");
  const { stdout } = await millrace(["doctor"], { env });
  expect(stdout).toContain("in no state");
  expect(stdout).toContain("looked at jobs 10");
  for (const line of stdout.split("\n").filter((each) => !each.startsWith("  >"))) expect(line.length).toBeLessThanOrEqual(80);
});
