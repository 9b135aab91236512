import { once } from "node:events";
import { expect, test } from "vitest";
import { progressText, showProgress, type Progress } from "../../src/cli/progress-line.ts";
import { Screen } from "../support/screen.ts";

const at: Progress = { put: 3210, running: 16, done: 2000, left: 1210, growing: false };

test("says what is put, running, done, how fast, and what is left", () => {
  expect(progressText(at, 950.4)).toBe("3,210 put, 16 running, 2,000 done, 950/s, 1,210 left, 1.3 s");
  expect(progressText({ ...at, growing: true }, 950)).toBe("3,210+ put, 16 running, 2,000 done, 950/s, 1,210 left");
  expect(progressText(at, undefined)).toBe("3,210 put, 16 running, 2,000 done, 1,210 left");
  expect(progressText(at, 0)).toBe("3,210 put, 16 running, 2,000 done, 0/s, 1,210 left");
});

test("writes plain lines where there is no terminal", async () => {
  const screen = new Screen(false, 30);
  const stop = showProgress(screen, async () => at, 1);
  while (screen.text.split("\n").length < 3) await once(screen, "write");
  await stop();
  expect(screen.text.split("\n")[0]).toBe("3,210 put, 16 running, 2,000 done, 1,210 left");
  expect(screen.text).not.toContain("\u001b");
});

test("rewrites one line on a terminal, no longer than it is wide, and erases it at the end", async () => {
  const screen = new Screen(true, 30);
  const stop = showProgress(screen, async () => at, 1);
  while (screen.text.split("\r").length < 4) await once(screen, "write");
  await stop();
  const drawn = screen.text.split("\r\u001b[2K");
  expect(drawn[0]).toBe("");
  expect(drawn.at(-1)).toBe("");
  for (const line of drawn.slice(1, -1)) {
    expect(line.startsWith("3,210 put, 16 running")).toBe(true);
    expect(line.length).toBeLessThan(30);
  }
});

test("shows nothing while it cannot look, and goes on", async () => {
  const screen = new Screen(false, 30);
  let looks = 0;
  const stop = showProgress(screen, async () => (++looks < 4 ? Promise.reject(new Error("Redis is away")) : at), 1);
  await once(screen, "write");
  await stop();
  expect(looks).toBeGreaterThanOrEqual(4);
  expect(screen.text).not.toContain("away");
});

test("writes nothing after it was stopped, not even of a look that was under way", async () => {
  const screen = new Screen(false, 30);
  const { promise: looking, resolve: looked } = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<Progress>();
  const stop = showProgress(screen, () => (looked(), promise), 1);
  await looking;
  const stopped = stop();
  resolve(at);
  await stopped;
  expect(screen.text).toBe("");
});
