import { expect, test } from "vitest";
import { ServerClock } from "../../src/redis/clock.ts";
import { redisClient } from "../support/redis.ts";

const HOUR_MS = 3_600_000;
/** Between two looks at a clock a busy machine may pause this long. */
const PAUSE_MS = 30;

test("is the local clock until it was told otherwise", () => {
  expect(Math.abs(new ServerClock().now() - Date.now())).toBeLessThanOrEqual(PAUSE_MS);
});

test("follows the server's clock, however far it is from ours", () => {
  const clock = new ServerClock();
  clock.observe(Date.now() + HOUR_MS, 2);
  expect(Math.abs(clock.now() - Date.now() - HOUR_MS)).toBeLessThanOrEqual(PAUSE_MS);
});

test("trusts the quickest answer: a slow one that agrees within its uncertainty changes nothing", () => {
  const clock = new ServerClock();
  clock.observe(Date.now() + 1000, 1);
  const before = clock.now() - Date.now();
  clock.observe(Date.now() + 940, 200);
  expect(Math.abs(clock.now() - Date.now() - before)).toBeLessThanOrEqual(PAUSE_MS);
});

test("believes an answer that contradicts it: the server was replaced, or this machine slept", () => {
  const clock = new ServerClock();
  clock.observe(Date.now(), 1);
  clock.observe(Date.now() - HOUR_MS, 200);
  expect(Math.abs(clock.now() - Date.now() + HOUR_MS)).toBeLessThanOrEqual(150);
});

test("learns a real server's clock within a few milliseconds", async () => {
  const clock = new ServerClock();
  await clock.sync(redisClient());
  // One machine, or one Docker host: one clock.
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(100);
});

