import { expect, onTestFinished, test } from "vitest";
import { LoopDelay } from "../../src/pool/loop-delay.ts";

const turns = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("tells how late the loop was since it was asked last, and nothing of what it waits for itself", async () => {
  const delay = new LoopDelay();
  onTestFinished(() => delay[Symbol.dispose]());
  expect(delay.take()).toEqual({ p99: 0, max: 0 });
  delay.begin();
  await turns(120);
  const blockedAt = performance.now();
  while (performance.now() - blockedAt < 300);
  await turns(120);
  const { max } = delay.take();
  expect(max).toBeGreaterThan(200);
  expect(delay.last.max).toBe(max);
  await expect.poll(async () => (await turns(120), delay.take().max)).toBeLessThan(200);
});

test("tells of a block also to who is the first to ask after it", async () => {
  const delay = new LoopDelay();
  onTestFinished(() => delay[Symbol.dispose]());
  delay.begin();
  await turns(100);
  delay.take();
  await turns(100);
  const blockedAt = performance.now();
  while (performance.now() - blockedAt < 300);
  expect(delay.take().max).toBeGreaterThan(200);
  await expect.poll(async () => (await turns(120), delay.take().max)).toBeLessThan(200);
});
