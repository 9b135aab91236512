import { expect, test } from "vitest";
import { logDump } from "../../src/cli/log-dump.ts";
import type { PoolDump } from "../../src/control/verbs.ts";
import { entryOf, taskOf } from "../control/control.ts";
import { recordedLog } from "../support/app.ts";

test("says how the process is, then what each task does", () => {
  const dump: PoolDump = {
    pool: entryOf("abc", { running: 2, slots: 5 }),
    at: 10_000,
    uptimeMs: 20_000,
    node: "v24.0.0",
    debug: true,
    tasks: [
      { ...taskOf("1", { startedAt: 6000, progress: "50" }), waitsAt: ["handle (mail.ts:3:1)", "run (pool.ts:1:1)"] },
      { ...taskOf("2", { startedAt: 9000, stuck: true, interruption: "cancelled" }), waitsAt: null },
    ],
    eventLoop: { delayMs: { p99: 1, max: 2 }, utilization: 0.5 },
    memory: { rssBytes: 1, heapUsedBytes: 2, heapTotalBytes: 3, heapLimitBytes: 4, externalBytes: 5 },
    resources: { Timeout: 3 },
  };
  const log = recordedLog();
  logDump(dump, log);
  expect(log.lines.map(({ message }) => message)).toEqual(["dump: 2 of 5 slots run a task", "dump: job 1 runs for 4.0 s, waits at handle (mail.ts:3:1)", "dump: job 2 runs for 1.0 s"]);
  expect(log.lines[0]?.fields).toMatchObject({ id: "abc", state: "ready", memory: { heapUsedBytes: 2 }, resources: { Timeout: 3 } });
  expect(log.lines[1]?.fields).toMatchObject({ queue: "work", job: "job", id: "1", ageMs: 4000, progress: "50", waitsAt: ["handle (mail.ts:3:1)", "run (pool.ts:1:1)"] });
  expect(log.lines[2]?.fields).toMatchObject({ stuck: true, interruption: "cancelled" });
});
