import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startTicker, startTimer } from "../../src/concurrency/timer.ts";

const day = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test.each([0, 5, 2 ** 31 - 1, 2 ** 31, 60 * day])("fires once, after %i milliseconds and not before", (ms) => {
  const callback = vi.fn<() => void>();
  startTimer(ms, callback);
  vi.advanceTimersByTime(Math.max(0, ms - 1));
  expect(callback).toHaveBeenCalledTimes(ms === 0 ? 1 : 0);
  vi.advanceTimersByTime(1);
  expect(callback).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60 * day);
  expect(callback).toHaveBeenCalledTimes(1);
});

test.each([["short", day, 1000], ["long, in its first stretch", 60 * day, day], ["long, in its last stretch", 60 * day, 59 * day]])(
  "a %s timer that is called off never fires and leaves nothing behind",
  (_, ms, calledOffAt) => {
    const callback = vi.fn<() => void>();
    const callOff = startTimer(ms, callback);
    vi.advanceTimersByTime(calledOffAt);
    callOff();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(ms);
    expect(callback).not.toHaveBeenCalled();
  },
);

test("calling off one that has fired does no harm", () => {
  const callback = vi.fn<() => void>();
  const callOff = startTimer(1, callback);
  vi.advanceTimersByTime(1);
  callOff();
  expect(callback).toHaveBeenCalledTimes(1);
});

test("a ticker calls back again and again until it is ended", () => {
  const callback = vi.fn<() => void>();
  const end = startTicker(10, callback);
  vi.advanceTimersByTime(35);
  expect(callback).toHaveBeenCalledTimes(3);
  end();
  end();
  vi.advanceTimersByTime(35);
  expect(callback).toHaveBeenCalledTimes(3);
  expect(vi.getTimerCount()).toBe(0);
});

test("a process ends although timers and tickers run that are not to keep it alive", () => {
  const address = JSON.stringify(new URL("../../src/concurrency/timer.ts", import.meta.url).href);
  const source = `import { startTicker, startTimer } from ${address};
    const late = () => console.log("late");
    startTimer(20, () => console.log("in time"));
    for (const ms of [3_600_000, 2 ** 32]) startTimer(ms, late, { keepsAlive: false });
    startTicker(3_600_000, late, { keepsAlive: false });`;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8", timeout: 20_000 });
  expect({ stdout, status }).toEqual({ stdout: "in time\n", status: 0 });
});
