import { QueueKeys } from "bullmq";
import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { checkId, checkJobName, checkQueueName } from "../../src/job/name.ts";

test.each(["a", "welcome", "Ümlaut", "a b", "a/b.c-d_e", "x".repeat(200), "0", "completed", "😀"])("takes %j as a name", (name) => {
  expect(checkQueueName(name)).toBe(name);
});

test.each([
  ["", 'expected a string of 1 to 200 characters for the name of a queue, got "" (0 characters)'],
  ["x".repeat(201), "(201 characters)"],
  [5, "got 5"],
  [undefined, "got undefined"],
  [Symbol("x"), "got a symbol"],
  ["a:b", 'expected the name of a queue without ":", "{" and "}", got "a:b"'],
  ["{a}", "without"],
  ["a}", "without"],
  ["a\u0000b", "expected the name of a queue without control characters"],
  ["a\n", "without control characters"],
  ["\u0085", "without control characters"],
  ["\ud800", "expected the name of a queue to be well-formed Unicode"],
])("refuses %o as a name", (name, message) => {
  expect(() => checkQueueName(name)).toThrow(OptionError);
  expect(() => checkQueueName(name)).toThrow(message);
});

test("takes as a job's name what BullMQ takes, since it stands in no key, but nothing unreadable", () => {
  expect(checkJobName("user:created")).toBe("user:created");
  expect(() => checkJobName("a\u0000b")).toThrow("expected the name of a job without control characters");
  expect(() => checkJobName("")).toThrow(OptionError);
});

test.each(["a", "order-17", "0199d2c8", "007", "1.5", "-1", "1e3", "1234567890123456", "x".repeat(200), "Completed", "{a}"])("takes %j as an id", (id) => {
  expect(checkId(id)).toBe(id);
});

test.each([
  ["", "expected a string of 1 to 200 characters for a job's id"],
  ["x".repeat(201), "(201 characters)"],
  [17, "got 17"],
  [null, "got null"],
  ["a:b", "expected a job's id without \":\""],
  ["a\tb", "without control characters"],
  ["\udc00x", "well-formed Unicode"],
  ["0", 'prefix it: "order-0"'],
  ["17", "since BullMQ gives those itself"],
  ["123456789012345", "since BullMQ gives those itself"],
  ["meta", "expected a job's id that is not a key of its queue, got \"meta\"; prefix it: \"job-meta\""],
  ["completed", "not a key of its queue"],
  ["metrics", "not a key of its queue"],
  ["millrace", "not a key of its queue"],
  ["dn", "not a key of its queue"],
])("refuses %o as an id", (id, message) => {
  expect(() => checkId(id)).toThrow(OptionError);
  expect(() => checkId(id)).toThrow(message);
});

test("refuses as an id whatever BullMQ names a key of a queue", () => {
  const names = Object.keys(new QueueKeys("bull").getKeys("q"));
  expect(names.length).toBeGreaterThan(15);
  for (const name of names) expect(() => checkId(name), name).toThrow(OptionError);
});
