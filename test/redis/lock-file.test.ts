import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { RedisServerError } from "../../src/errors.ts";
import { withLock } from "../../src/redis/lock-file.ts";
import { event, takes } from "../support/outcome.ts";

async function lockPath(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return join(dir, "lock");
}

test("one at a time", async () => {
  const path = await lockPath();
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await stat(path);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => withLock(path, 20_000, work)));
  expect(most).toBe(1);
  await expect(stat(path)).rejects.toThrow("ENOENT");
});

test("is free again when the work fails, and gives what the work gives", async () => {
  const path = await lockPath();
  await expect(withLock(path, 1000, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await withLock(path, 1000, async () => 5)).toBe(5);
});

test("gives up after the time it was given, naming the lock", async () => {
  const path = await lockPath();
  await withLock(path, 1000, async () => {
    const waiting = withLock(path, 200, async () => undefined);
    await expect(waiting).rejects.toThrow(RedisServerError);
    await expect(waiting).rejects.toThrow(path);
  });
});

test("ten that find the lock of a dead holder take it one after the other", async () => {
  const path = await lockPath();
  await mkdir(path);
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(path, longAgo, longAgo);
  let inside = 0;
  const work = async (assertHeld: () => void): Promise<void> => {
    inside += 1;
    expect(inside).toBe(1);
    await stat(path);
    assertHeld();
    inside -= 1;
  };
  expect(await takes(Promise.all(Array.from({ length: 10 }, () => withLock(path, 10_000, work))))).toBeLessThan(5000);
});

test("the lock of a process that was killed is free after five seconds", async () => {
  const path = await lockPath();
  const program = `
    import { withLock } from ${JSON.stringify(new URL("../../src/redis/lock-file.ts", import.meta.url).href)};
    await withLock(${JSON.stringify(path)}, 1000, () => new Promise(() => { process.stdout.write("held"); setInterval(() => 0, 1000); }));
  `;
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"] });
  await event(holder.stdout, "data");
  holder.kill("SIGKILL");
  await event(holder, "exit");
  const tookMs = await takes(withLock(path, 20_000, async () => undefined));
  expect(tookMs).toBeGreaterThan(3000);
  expect(tookMs).toBeLessThan(8000);
}, 30_000);

test("a holder that was stopped for so long that another may have the lock is told", async () => {
  const path = await lockPath();
  await withLock(path, 1000, async (assertHeld) => {
    assertHeld();
    // Blocks the event loop, so that nothing renews the lock.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2600);
    expect(assertHeld).toThrow(/may have lost the lock/);
    await stat(path);
    expect(assertHeld).toThrow(/may have lost the lock/);
  });
});
