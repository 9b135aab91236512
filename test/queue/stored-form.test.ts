import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { definitionOf, defineJob, type Job, type JobOptions } from "../../src/job/contract.ts";
import { checkPut, type PutOptions } from "../../src/job/put-options.ts";
import { storedForm } from "../../src/queue/stored-form.ts";

function stored(contract: JobOptions = {}, put?: PutOptions) {
  const form = storedForm(definitionOf(defineJob("job", contract) as Job), "id", '{"n":1}', checkPut(put));
  return { ...form, options: JSON.parse(form.options) as unknown };
}

test("a plain put stores the contract's policy in BullMQ's words", () => {
  const contract: JobOptions = {
    version: 3,
    attempts: 8,
    backoff: { type: "exponential", base: "2s", max: "1m", jitter: 0.5 },
    keep: { completed: { count: 10, age: "1h" }, failed: { age: 1500 } },
  };
  expect(stored(contract)).toEqual({
    id: "id",
    name: "job",
    data: '{"n":1}',
    options: {
      attempts: 8,
      backoff: { type: "exponential", delay: 2000, jitter: 0.5, max: 60_000 },
      removeOnComplete: { count: 10, age: 3600 },
      // BullMQ counts in seconds: nothing goes sooner than it was promised.
      removeOnFail: { age: 2 },
      mv: 3,
    },
    delayMs: 0,
    runAtMs: 0,
    priority: 0,
    lifo: false,
    timeoutMs: 0,
    deadlineMs: 0,
    expireAtMs: 0,
  });
});

test("what a put says beats the contract", () => {
  const form = stored({ attempts: 8, timeout: "1h", deadline: "1d" }, { attempts: 2, delay: "5s", priority: 4, timeout: "10s", deadline: "1h", expireAt: new Date(4e12) });
  expect(form).toMatchObject({ options: { attempts: 2, delay: 5000, priority: 4 }, delayMs: 5000, priority: 4, timeoutMs: 10_000, deadlineMs: 3_600_000, expireAtMs: 4e12 });
  expect(form.options).not.toHaveProperty("lifo");
  expect(stored({}, { lifo: true })).toMatchObject({ options: { lifo: true, attempts: 3 }, lifo: true });
});

test("one that would be due when it is too late is refused, under the contract's deadline too", () => {
  expect(() => stored({ deadline: "10m" }, { delay: "10m" })).toThrow(OptionError);
  expect(stored({ deadline: "10m" }, { delay: "10m", deadline: "11m" })).toMatchObject({ deadlineMs: 660_000 });
});

test("a put at an instant stores the instant, and no delay", () => {
  const form = stored({}, { runAt: new Date(86_400_000) });
  expect(form).toMatchObject({ delayMs: 0, runAtMs: 86_400_000 });
  expect(form.options).not.toHaveProperty("delay");
});

test("one put's own options stay its own", () => {
  const definition = definitionOf(defineJob("job", { attempts: 5 }) as Job);
  const options = (put?: PutOptions): string => storedForm(definition, "id", "{}", checkPut(put)).options;
  const plain = options();
  expect(JSON.parse(options({ attempts: 9 }))).toMatchObject({ attempts: 9 });
  expect(JSON.parse(options({ lifo: true }))).toMatchObject({ attempts: 5, lifo: true });
  expect(options()).toBe(plain);
  expect(options({ id: "other", timeout: 5 })).toBe(plain);
  expect(JSON.parse(plain)).toMatchObject({ attempts: 5 });
});

test("keeping nothing is said as such", () => {
  expect(stored({ keep: { completed: { count: 0 }, failed: { count: 0 } } })).toMatchObject({ options: { removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } } });
});
