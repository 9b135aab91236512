import * as fc from "fast-check";
import { expect, test } from "vitest";
import { AnswerParts, decodeMessage, encodeAnswer, encodeMessage, type Answer } from "../../src/control/message.ts";

const pool = { id: "abc", name: "mill" };
const message = { id: "m1", verb: "scale", args: { concurrency: 3 }, to: ["abc"] };

/** What a reader makes of these parts. */
function read(parts: readonly string[], reader = new AnswerParts()) {
  return parts.map((part) => reader.take(part)).filter((told) => told !== undefined && told.answer.kind !== "begun");
}

test("a message comes as it was said, with the time of the server that stands before it", () => {
  expect(decodeMessage(`1700000000000 ${encodeMessage(message)}`)).toEqual({ ...message, sentAt: 1_700_000_000_000 });
});

test.each(["", " ", "hello", "12 hello", "12 null", "12 3", '12 {"id":1,"verb":"ping"}', '12 {"id":"a"}', `x ${encodeMessage(message)}`, encodeMessage(message)])("leaves alone what is no message: %j", (text) => {
  expect(decodeMessage(text)).toBeUndefined();
});

test("an answer comes as it was given, in as many parts as it takes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 3000 }), (text, times) => {
      const answer: Answer = { kind: "value", value: { text: text.repeat(times) } };
      const parts = encodeAnswer(pool, answer);
      for (const part of parts) expect(part.length).toBeLessThan(700_000);
      expect(read(parts)).toEqual([{ from: "abc", name: "mill", answer }]);
    }),
    { numRuns: 50 },
  );
});

test("parts of several pools come between one another; one that is missing leaves its answer out", () => {
  const long: Answer = { kind: "value", value: "x".repeat(250_000) };
  const [one, other] = [encodeAnswer(pool, long), encodeAnswer({ id: "def", name: "mill" }, long)];
  expect(one).toHaveLength(3);
  expect(read([one[0]!, other[0]!, other[1]!, one[1]!, one[2]!, other[2]!]).map((told) => told?.from)).toEqual(["abc", "def"]);
  expect(read([one[0]!, one[2]!, other[1]!, other[2]!])).toEqual([]);
  expect(read(["nonsense", "{}", "null"])).toEqual([]);
});

test("an answer that is too long says so instead", () => {
  const [told] = read(encodeAnswer(pool, { kind: "value", value: "x".repeat(17_000_000) }));
  expect(told?.answer).toMatchObject({ kind: "error", message: expect.stringContaining("at most 16000000") as string });
});
