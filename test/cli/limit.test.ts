import { expect, test } from "vitest";
import { stockQueue } from "../interop/stock.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

test("limit set says what holds now, show lists it, and what is none ends with 2", async () => {
  const prefix = freshPrefix();
  const run = (...args: string[]): Promise<Ended> => millrace(["limit", ...args], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });
  const stock = stockQueue(prefix, "mail");
  await stock.add("n", 1);
  expect(await run("show")).toEqual({ code: 0, stdout: "", stderr: "no queue has a limit\n" });
  expect(await run("set", "mail", "--rate", "100/s")).toEqual({ code: 0, stdout: "mail: no limit of what is active, at most 100/s started\n", stderr: "" });
  expect(await run("set", "mail", "--concurrency", "3")).toMatchObject({ stdout: "mail: at most 3 active, at most 100/s started\n" });
  const [text, json, wrong, nothing, gone] = await Promise.all([run(), run("show", "mail", "--json"), run("set", "mail", "--rate", "fast"), run("set", "mail"), run("show", "mial")]);
  expect(text.stdout).toBe("QUEUE  CONCURRENCY   RATE  HELD  NOTE\nmail             3  100/s\n");
  expect(JSON.parse(json.stdout)).toEqual({ queue: "mail", concurrency: 3, rate: { max: 100, durationMs: 1000 }, heldForMs: 0, shares: 1, isPartial: false });
  expect([wrong.code, nothing.code, gone.code]).toEqual([2, 2, 4]);
  expect(await stock.getGlobalRateLimit()).toEqual({ max: 100, duration: 1000 });
}, 60_000);
