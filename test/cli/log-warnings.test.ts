import { expect, onTestFinished, test } from "vitest";
import { logWarnings } from "../../src/cli/log-warnings.ts";
import { recordedLog } from "../support/app.ts";

/** Whoever listens to warnings of this process listens again when the test is over. */
function withListeners(...listeners: readonly NodeJS.WarningListener[]): void {
  const own = process.listeners("warning");
  process.removeAllListeners("warning");
  for (const listener of listeners) process.on("warning", listener);
  onTestFinished(() => {
    process.removeAllListeners("warning");
    for (const listener of own) process.on("warning", listener);
  });
}

test("warnings are lines of the log, with their name, code and detail, and are not printed besides", () => {
  const printed: Error[] = [];
  withListeners((warning) => void printed.push(warning));
  const log = recordedLog();
  logWarnings(log);
  process.emit("warning", Object.assign(new Error("stuck"), { name: "BlockedLoopWarning", detail: "    at here" }));
  process.emit("warning", Object.assign(new Error("old"), { name: "DeprecationWarning", code: "DEP0001" }));
  expect(log.lines).toEqual([
    { level: "warn", message: "stuck", fields: { warning: "BlockedLoopWarning", detail: "    at here" } },
    { level: "warn", message: "old", fields: { warning: "DeprecationWarning", code: "DEP0001" } },
  ]);
  expect(printed).toEqual([]);
});

test("where nobody prints warnings, nobody logs them", () => {
  withListeners();
  logWarnings(recordedLog());
  expect(process.listenerCount("warning")).toBe(0);
});
