/**
 * Whatever options, ids, names and payloads come: refused before any I/O with an error that says where and what, or
 * taken. That payloads which are taken come back exactly is held by test/job/json.test.ts, in as many cases.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { connect } from "../../src/app.ts";
import { OptionError, PayloadError } from "../../src/errors.ts";
import { defineJob, typed } from "../../src/job/contract.ts";
import { checkId, checkQueueName } from "../../src/job/name.ts";
import { checkPut } from "../../src/job/put-options.ts";
import { producerKey, queueKeys } from "../../src/store/keys.ts";
import { options, payloads } from "./bad-input.ts";

const numRuns = 10_000;

// Nobody listens there: whatever tried to connect would say so.
const nowhere = connect({ redis: "redis://127.0.0.1:1" }).queue(defineJob("work", { payload: typed<unknown>() }));
const thrownBy = (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined, (error: unknown) => error);

test.each(options)("refuses $title before any I/O, and says what it expected and got", async ({ options }) => {
  const error = await thrownBy(nowhere.put(1, options));
  expect(error).toBeInstanceOf(OptionError);
  expect((error as Error).message).toMatch(/^unknown option "\w+" of put|^expected .+, got .+/s);
});

const refused = payloads.filter(({ title }) => !/^(toJSON|a key named|a zero byte|keys that|an empty|null)/.test(title) || title === "toJSON");

test.each(refused)("refuses a payload with $title before any I/O, and says where", async ({ payload }) => {
  const error = await thrownBy(nowhere.put(payload));
  expect(error).toBeInstanceOf(PayloadError);
  expect((error as Error).message).toMatch(/payload/);
});

const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-0, 0, 1, 2.5, 1e15, 2 ** 21, 2 ** 53, Number.NaN, Infinity));
const anything = fc.oneof(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), number);
const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[\w:{}.-]{1,20}$/), fc.constantFrom(...Object.keys(queueKeys("p", "q")), "stalled-check", "waiting-children", "pc"));

test("options of a put are refused as such, or mean what they say", () => {
  const count = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 100 }) }, anything);
  const given = fc.record({ id: fc.oneof(text, anything), delay: count, priority: count, lifo: fc.oneof(fc.boolean(), anything), attempts: count, timeout: count, dealy: anything }, { requiredKeys: [] });
  let taken = 0;
  fc.assert(
    fc.property(given, (options) => {
      try {
        const { delayMs, priority, attempts = 1, timeoutMs = 1 } = checkPut(options as object);
        taken += 1;
        expect("dealy" in options).toBe(false);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        for (const whole of [delayMs, priority, attempts, timeoutMs]) expect(Number.isSafeInteger(whole)).toBe(true);
        expect(Math.min(attempts, timeoutMs)).toBeGreaterThanOrEqual(1);
        expect(priority).toBeLessThanOrEqual(2 ** 21);
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
      }
    }),
    { numRuns },
  );
  expect(taken).toBeGreaterThan(100);
});

test("no name and no id reaches a key that is not its own", () => {
  let taken = 0;
  fc.assert(
    fc.property(text, text, text, (queue, other, id) => {
      try {
        for (const name of [queue, other]) checkQueueName(name);
        checkId(id);
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        return;
      }
      taken += 1;
      const keys = queueKeys("bull", queue);
      const job = keys.base + id;
      const { base, ...own } = queueKeys("bull", other);
      expect([...Object.values(own), producerKey(keys, "p")]).not.toContain(job);
      expect(job.startsWith(base)).toBe(queue === other);
      // Neither is it a key that belongs to a job of another, such as its lock.
      expect(id).not.toContain(":");
    }),
    { numRuns },
  );
  expect(taken).toBeGreaterThan(100);
});

test("no prefix reaches into another's keys", () => {
  fc.assert(
    fc.property(text, (prefix) => {
      try {
        connect({ redis: "redis://127.0.0.1:1", prefix });
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        return;
      }
      expect(prefix).toMatch(/^[^\s:{}]+$|^\{[^\s:{}]+\}$/);
    }),
    { numRuns },
  );
});
