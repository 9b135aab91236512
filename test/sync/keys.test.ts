import * as fc from "fast-check";
import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { checkKey, primitiveKey } from "../../src/sync/keys.ts";

test("a key reads as what it is, with its hash tag", () => {
  expect(primitiveKey("bull", "lock", "account:42", "line")).toBe("bull:millrace:lock:{account%3A42}:line");
});

test("no two texts share a key, and no text reaches out of the braces", () => {
  const text = fc.string({ unit: fc.oneof(fc.constantFrom("{", "}", ":", "%", "\0", " ", "*"), fc.string({ unit: "binary", minLength: 1, maxLength: 1 })), minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(text, text, (one, other) => {
      const [a, b] = [one, other].map((key) => primitiveKey("bull", "event", checkKey(key, "event"), "flag"));
      expect(a === b).toBe(one === other);
      expect(a).toMatch(/^bull:millrace:event:\{[^{}:\s]+\}:flag$/);
    }),
  );
});

test("refuses what is no text of 1 to 200 characters, and half of a character", () => {
  for (const key of ["", "x".repeat(201), 7, null, undefined, {}, "a\ud800"]) expect(() => checkKey(key, "semaphore")).toThrow(OptionError);
  for (const key of ["x", "x".repeat(200), "💧".repeat(100)]) expect(checkKey(key, "semaphore")).toBe(key);
});
