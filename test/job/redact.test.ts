import { assert, dictionary, json, property, stringMatching } from "fast-check";
import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { checkRedact, holdsRedacted, redacted, redactedFields, redactedText } from "../../src/job/redact.ts";

test.each([
  [{ body: "x", to: 1 }, ["body"], { body: "***", to: 1 }],
  [{ user: { email: "a", id: 1 } }, ["user.email"], { user: { email: "***", id: 1 } }],
  [{ cards: [{ number: 1, name: "a" }, { number: 2 }] }, ["cards.*.number"], { cards: [{ number: "***", name: "a" }, { number: "***" }] }],
  [[{ a: 1 }, 2], ["0.a", "1"], [{ a: "***" }, "***"]],
  [{ a: { b: 1 } }, ["a.*", "c", "a.b.c"], { a: { b: "***" } }],
  ["text", ["body"], "text"],
  [null, ["body"], null],
])("of %j, redacted by %j, operators see %j", (value, paths, seen) => {
  const before = JSON.stringify(value);
  expect(redacted(value, paths)).toEqual(seen);
  expect(JSON.stringify(value)).toBe(before);
});

const card = { user: { email: "a@b.ch", id: 1 }, cards: [{ number: 7, kind: "x" }, {}], body: ["a"] };
test.each<[PropertyKey[], string[], boolean]>([
  [[], ["body"], true],
  [[], ["other"], false],
  [[], [], false],
  [["body"], ["body"], true],
  [["body", 0], ["body"], true],
  [["user"], ["user.email"], true],
  [["user", "email"], ["user.email"], true],
  [["user", "id"], ["user.email"], false],
  [["user", "email", "domain"], ["user.email"], true],
  [["cards", 0, "number"], ["cards.*.number"], true],
  [["cards", 0, "kind"], ["cards.*.number"], false],
  [["cards", 1, "number"], ["cards.*.number"], false],
  [["cards", 1], ["cards.*.number"], false],
])("what stands at %j of a value in which %j is redacted is not to be quoted: %s", (keys, paths, holds) => {
  expect(holdsRedacted(card, keys, paths)).toBe(holds);
});

test("text is masked where it is JSON and something in it is, and is otherwise the same to the last blank", () => {
  expect(redactedText('{"body": 1, "to":2}', ["body"])).toBe('{"body":"***","to":2}');
  for (const text of ['{"to": 2}', "no json", '"body"']) expect(redactedText(text, ["body"])).toBe(text);
  expect(redactedText('{"body": 1}', [])).toBe('{"body": 1}');
});

test("nothing is left of what a path of one name names, wherever it is an object", () => {
  assert(property(dictionary(stringMatching(/^[a-z]{1,4}$/), json()), stringMatching(/^[a-z]{1,4}$/), (value, name) => {
    const seen = redacted(value, [name]) as Record<string, unknown>;
    expect(seen).toEqual({ ...value, ...(Object.hasOwn(value, name) && { [name]: "***" }) });
  }));
});

test.each([["body"], [[""]], [["a..b"]], [["a b"]], [[1]], [Array(51).fill("a")]])("refuses %j", (value) => {
  expect(() => checkRedact(value, "redact")).toThrow(OptionError);
});

test("a log line is masked where a field is redacted, or holds the payload; an error stays one", () => {
  const error = Object.assign(new Error("no"), { body: "x" });
  const fields = { body: "x", to: 1, payload: { body: "y", user: { email: "a", id: 2 } }, err: error };
  const masked = redactedFields(fields, ["body", "user.email"]);
  expect(masked).toEqual({ body: "***", to: 1, payload: { body: "***", user: { email: "***", id: 2 } }, err: error });
  expect((masked as typeof fields).err).toBe(error);
});
