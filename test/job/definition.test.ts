import * as v from "valibot";
import { expect, test } from "vitest";
import { z } from "zod";
import { OptionError } from "../../src/errors.ts";
import { defineJob, definitionOf, defineQueue, typed } from "../../src/job/contract.ts";
import { define, JOB_DEFAULTS } from "../../src/job/definition.ts";

const text = z.object({ to: z.string() });

test("a contract carries its checked definition", () => {
  const mail = defineQueue("mail", { maxSize: 100 });
  const result = z.object({ status: z.int() });
  const progress = z.number();
  const older = z.object({ receiver: z.string() }).transform(({ receiver }) => ({ to: receiver }));
  const job = defineJob("webhook", {
    queue: mail,
    payload: text,
    result,
    progress,
    version: 2,
    previous: { 1: older },
    attempts: 8,
    backoff: { type: "fixed", base: "1s", max: "1m", jitter: 0.5 },
    timeout: "30s",
    deadline: "2h",
    keep: { completed: { count: 1000, age: "1h" }, failed: { age: "7d" } },
  });
  expect(job.name).toBe("webhook");
  expect(job.queue).toBe("mail");
  expect(definitionOf(job)).toStrictEqual({
    name: "webhook",
    queue: { name: "mail", options: { maxSize: 100 } },
    version: 2,
    payload: text,
    previous: { 1: older },
    result,
    progress,
    attempts: 8,
    backoff: { type: "fixed", baseMs: 1000, maxMs: 60_000, jitter: 0.5 },
    timeoutMs: 30_000,
    deadlineMs: 7_200_000,
    keep: { completed: { count: 1000, ageMs: 3_600_000 }, failed: { ageMs: 604_800_000 } },
  });
});

test("what a contract does not say has a default", () => {
  const plain = {
    name: "nightly",
    queue: { name: "nightly", options: {} },
    version: 1,
    previous: {},
    attempts: 3,
    backoff: { type: "exponential", baseMs: 1000, maxMs: 3_600_000, jitter: 1 },
    keep: { completed: { count: 1000 }, failed: { count: 10_000, ageMs: 7_776_000_000 } },
  };
  expect(define("nightly", undefined)).toStrictEqual(plain);
  expect(define("nightly", {})).toStrictEqual(plain);
  expect(definitionOf(defineJob("nightly"))).toStrictEqual(plain);
  expect(definitionOf(defineJob("nightly", { payload: undefined, keep: { completed: {}, failed: {} } }))).toStrictEqual(plain);
});

test("jobs with a result are kept by age, so that a large gather finds them all", () => {
  expect(definitionOf(defineJob("a", { result: text })).keep.completed).toEqual({ ageMs: 3_600_000 });
  expect(definitionOf(defineJob("a", { result: text, keep: { completed: { count: 5 } } })).keep.completed).toEqual({ count: 5 });
});

test("a back-off without a maximum may wait its whole base", () => {
  expect(definitionOf(defineJob("a", { backoff: { type: "fixed", base: "2h" } })).backoff).toEqual({
    type: "fixed",
    baseMs: 7_200_000,
    maxMs: 7_200_000,
    jitter: 1,
  });
});

test("contracts, definitions and queues are frozen through and through", () => {
  const job = defineJob("a", { queue: defineQueue("q", { maxSize: 5 }), backoff: { type: "fixed", base: 1 }, version: 2, payload: text, previous: { 1: text } });
  const definition = definitionOf(job);
  const { queue, keep, backoff, previous } = definition;
  for (const part of [job, definition, queue, queue.options, keep, keep.completed, keep.failed, backoff, previous, JOB_DEFAULTS, JOB_DEFAULTS.keep.failed]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});

test("takes the schemas of any library that follows Standard Schema", () => {
  const callable = Object.assign(() => 1, typed<string>());
  for (const schema of [z.string(), v.string(), typed<string>(), callable]) {
    expect(definitionOf(defineJob("a", { payload: schema, result: schema, progress: schema })).payload).toBe(schema);
  }
});

test.each<[object, string | RegExp]>([
  [{ atempts: 3 }, 'unknown option "atempts" of job "a": did you mean attempts?'],
  [{ attempts: 0 }, 'expected a whole number of at least 1 for attempts of job "a", got 0'],
  [{ attempts: -1 }, "got -1"],
  [{ attempts: 2.5 }, "got 2.5"],
  [{ attempts: Infinity }, "got Infinity"],
  [{ version: 0 }, 'expected a whole number of at least 1 for version of job "a", got 0'],
  [{ version: "2" }, 'got "2"'],
  [{ timeout: 0 }, 'expected a duration from 1ms to 2147483647ms for timeout of job "a", got 0'],
  [{ deadline: 0 }, 'expected a duration of at least 1ms for deadline of job "a", got 0'],
  [{ timeout: "25d" }, 'got "25d"'],
  [{ timeout: "1 hour" }, 'expected a duration such as 500 or "30s" for timeout of job "a", got "1 hour"'],
  [{ backoff: {} }, 'expected backoff of job "a" to have type and base, such as { type: "exponential", base: "1s" }'],
  [{ backoff: { type: "fixed" } }, "to have type and base"],
  [{ backoff: { type: "linear", base: 1 } }, 'expected "exponential" or "fixed" for type of backoff of job "a", got "linear"'],
  [{ backoff: { type: "fixed", base: -1 } }, "for base of backoff of job"],
  [{ backoff: { type: "fixed", base: "2s", max: "1s" } }, 'expected max of backoff of job "a" to be at least its base, 2000 ms, got 1000 ms'],
  [{ backoff: { type: "fixed", base: 1, jitter: 1.1 } }, 'expected a number from 0 to 1 for jitter of backoff of job "a", got 1.1'],
  [{ backoff: { type: "fixed", base: 1, delay: 1 } }, 'unknown option "delay" of backoff of job "a"'],
  [{ backoff: 5000 }, "expected an object with the options of backoff"],
  [{ keep: { complete: {} } }, 'unknown option "complete" of keep of job "a": did you mean completed?'],
  [{ keep: { failed: { count: -1 } } }, 'expected a whole number of at least 0 for count of failed of keep of job "a", got -1'],
  [{ keep: { failed: { age: "long" } } }, "for age of failed of keep"],
  [{ keep: true }, "expected an object with the options of keep"],
  [{ payload: {} }, /^expected a schema \(zod, valibot, arktype: Standard Schema\) for payload of job "a", got an object/],
  [{ payload: String }, "got a function"],
  [{ payload: null }, "got null"],
  [{ result: "string" }, 'got "string"'],
  [{ progress: { "~standard": {} } }, "expected a schema"],
  [{ previous: { 1: text } }, 'expected previous of job "a" to hold versions below its version, 1, got 1; set version: 2'],
  [{ version: 3, previous: { one: text } }, 'expected a version, a whole number from 1, in previous of job "a", got "one"'],
  [{ version: 3, previous: { 0: text } }, 'got "0"'],
  [{ version: 3, previous: { 1: {} } }, 'expected a schema (zod, valibot, arktype: Standard Schema) for 1 in previous of job "a"'],
  [{ previous: [text] }, "expected schemas by version"],
  [{ queue: 5 }, 'expected a queue\'s name or defineQueue(…) for queue of job "a", got 5'],
  [{ queue: {} }, "got an object"],
  [{ queue: null }, "got null"],
  [{ queue: "a:b" }, 'expected the name of a queue without ":"'],
  [{ queue: { name: "q", options: { maxSzie: 5 } } }, "did you mean maxSize?"],
])("refuses %o", (options, message) => {
  expect(() => defineJob("a", options)).toThrow(OptionError);
  expect(() => defineJob("a", options)).toThrow(message);
});
