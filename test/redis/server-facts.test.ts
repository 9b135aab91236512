import { expect, test } from "vitest";
import { readServerFacts } from "../../src/redis/server-facts.ts";
import { redisClient, startRedis } from "../support/redis.ts";

test("reads what the server tells of itself, its settings and its clock", async () => {
  const { url } = await startRedis();
  const { info, settings, clockOffMs } = await readServerFacts(redisClient(url));
  expect(info.get("redis_version")).toMatch(/^\d+\.\d+/);
  expect(settings.get("maxmemory-policy")).toBe("noeviction");
  expect(Math.abs(clockOffMs)).toBeLessThan(1000);
});
