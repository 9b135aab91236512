import { expect, test } from "vitest";
import { decodePayload, encodeResult } from "../../src/job/codec.ts";
import { definitionOf } from "../../src/job/contract.ts";
import { EVERY_NAME, everyName } from "../../src/job/every-name.ts";
import { defineQueue } from "../../src/job/queue-def.ts";

const definition = definitionOf(everyName(defineQueue("mail"), { maxStalledCount: 1 }, { completed: {}, failed: {} }));

test("stands for every job of its queue", () => expect([definition.name, definition.queue.name]).toEqual([EVERY_NAME, "mail"]));

test("reads what any version of any contract has put", () => {
  expect([undefined, 1, 7].map((version) => decodePayload(definition, '{"to":"a"}', version))).toEqual([{ to: "a" }, { to: "a" }, { to: "a" }]);
});

test("stores a result as it is given", () => expect(encodeResult(definition, '{"at":"2026-01-01T00:00:00.000Z"}')).toBe('{"at":"2026-01-01T00:00:00.000Z"}'));
