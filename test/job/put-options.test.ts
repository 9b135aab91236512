import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { checkDue, checkPut, type PutOptions } from "../../src/job/put-options.ts";

const { signal } = new AbortController();

test.each<[PutOptions | undefined, object]>([
  [undefined, {}],
  [{}, {}],
  [{ id: "order-1" }, { id: "order-1" }],
  [{ delay: "1h" }, { delayMs: 3_600_000 }],
  [{ delay: 0 }, { delayMs: 0 }],
  [{ runAt: new Date(1_900_000_000_000) }, { runAtMs: 1_900_000_000_000 }],
  [{ runAt: new Date(-5) }, { runAtMs: 0 }],
  [{ priority: 2_097_151 }, { priority: 2_097_151 }],
  [{ lifo: true, priority: 0 }, { lifo: true }],
  [{ lifo: false, priority: 1 }, { priority: 1 }],
  [{ deadline: "40d", expireAt: new Date(1_900_000_000_000) }, { deadlineMs: 3_456_000_000, expireAtMs: 1_900_000_000_000 }],
  [{ durable: true }, { durable: true }],
  [{ durable: false }, {}],
  [{ attempts: 1, timeout: "30s", signal }, { attempts: 1, timeoutMs: 30_000, signal }],
])("takes %j", (options, checked) => {
  expect(checkPut(options)).toStrictEqual({ delayMs: 0, priority: 0, lifo: false, ...checked });
  expect(Object.isFrozen(checkPut(options))).toBe(true);
});

test.each<[object | null, string]>([
  [{ dealy: 5 }, 'unknown option "dealy" of put: did you mean delay?'],
  [{ jobId: "a" }, 'unknown option "jobId" of put'],
  [{ deadlin: "1h" }, 'unknown option "deadlin" of put: did you mean deadline?'],
  [{ deadline: 0 }, "expected a duration of at least 1ms for deadline of put, got 0"],
  [{ deadline: "soon" }, 'got "soon"'],
  [{ expireAt: "1h" }, 'expected a valid Date for expireAt of put, got "1h"'],
  [{ expireAt: new Date(8.64e15) }, "expected expireAt of put within a hundred years"],
  [{ id: "meta" }, "not a key of its queue"],
  [{ id: 5 }, "for a job's id, got 5"],
  [{ delay: -1 }, 'expected a duration such as 500 or "30s" for delay of put, got -1'],
  [{ delay: Number.NaN }, "got NaN"],
  [{ delay: 1e15 }, "got 1000000000000000"],
  [{ delay: "soon" }, 'got "soon"'],
  [{ delay: "5" }, 'got "5"'],
  [{ delay: 1, runAt: new Date() }, "expected either delay or runAt for put, got both"],
  [{ delay: 0, runAt: new Date() }, "got both"],
  [{ runAt: new Date(Number.NaN) }, "expected a valid Date for runAt of put, got an invalid Date"],
  [{ runAt: 1_900_000_000_000 }, "expected a valid Date"],
  [{ runAt: new Date(8.64e15) }, "expected runAt of put within a hundred years"],
  [{ priority: -1 }, "expected a whole number from 0 to 2097151 for priority of put, got -1"],
  [{ priority: 2_097_152 }, "got 2097152"],
  [{ priority: 1.5 }, "got 1.5"],
  [{ priority: 1, lifo: true }, "expected either lifo or a priority for put, got both (priority 1)"],
  [{ durable: 1 }, "expected true or false for durable of put, got 1"],
  [{ lifo: "yes" }, 'expected true or false for lifo of put, got "yes"'],
  [{ attempts: 0 }, "expected a whole number of at least 1 for attempts of put, got 0"],
  [{ attempts: -1 }, "got -1"],
  [{ attempts: 2.5 }, "got 2.5"],
  [{ timeout: 0 }, "expected a duration from 1ms to 2147483647ms for timeout of put, got 0"],
  [{ timeout: "30d" }, "expected a duration from 1ms to 2147483647ms"],
  [{ signal: 5 }, "expected an AbortSignal for signal of put, got 5"],
  [null, "expected an object with the options of put, got null"],
])("refuses %o", (options, message) => {
  expect(() => checkPut(options as PutOptions)).toThrow(OptionError);
  expect(() => checkPut(options as PutOptions)).toThrow(message);
});

const inAnHour = new Date(Date.now() + 3_600_000);

test.each<[PutOptions, number | undefined, string]>([
  [{ delay: "1h" }, 3_600_000, "expected a delay of put within the deadline of 3600000 ms, which counts from the put, got one in 3600000 ms"],
  [{ runAt: inAnHour }, 60_000, "expected a runAt of put within the deadline of 60000 ms"],
  [{ delay: "2h", expireAt: inAnHour }, undefined, "expected a delay of put before its expireAt"],
  [{ runAt: inAnHour, expireAt: inAnHour }, undefined, "expected a runAt of put before its expireAt"],
])("refuses %o under a deadline of %s ms, which it cannot meet", (options, deadlineMs, message) => {
  expect(() => checkDue(checkPut(options), deadlineMs)).toThrow(OptionError);
  expect(() => checkDue(checkPut(options), deadlineMs)).toThrow(message);
});

test("takes what can still be met, and leaves to the workers what is late for another reason", () => {
  checkDue(checkPut({ delay: 999 }), 1000);
  checkDue(checkPut({ runAt: new Date(0), expireAt: inAnHour }), 1000);
  checkDue(checkPut({ expireAt: new Date(0) }), 1000);
  checkDue(checkPut(), undefined);
});
