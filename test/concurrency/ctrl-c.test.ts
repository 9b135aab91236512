import { afterEach, expect, test, vi } from "vitest";
import { CtrlC } from "../../src/concurrency/ctrl-c.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** Which of the signals are echoes, each so many milliseconds after the one before. */
function echoes(npmCommand: string | undefined, signals: readonly (readonly [afterMs: number, signal: NodeJS.Signals])[]): boolean[] {
  vi.stubEnv("npm_command", npmCommand);
  vi.useFakeTimers();
  const ctrlC = new CtrlC();
  return signals.map(([afterMs, signal]) => {
    vi.advanceTimersByTime(afterMs);
    return ctrlC.isEcho(signal);
  });
}

test("under npm the second of two SIGINTs is an echo when it comes at once", () => {
  expect(echoes("run", [[0, "SIGINT"], [3, "SIGINT"]])).toEqual([false, true]);
  expect(echoes("run", [[0, "SIGINT"], [1000, "SIGINT"]])).toEqual([false, false]);
});

test("one press has one echo, so that two quick presses are two", () => {
  expect(echoes("run", [[0, "SIGINT"], [3, "SIGINT"], [200, "SIGINT"], [3, "SIGINT"]])).toEqual([false, true, false, true]);
});

test("without npm, and of any other signal, there are no echoes", () => {
  expect(echoes(undefined, [[0, "SIGINT"], [3, "SIGINT"]])).toEqual([false, false]);
  expect(echoes("run", [[0, "SIGTERM"], [3, "SIGTERM"], [3, "SIGINT"]])).toEqual([false, false, false]);
});
