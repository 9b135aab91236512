import * as fc from "fast-check";
import { expect, test } from "vitest";
import { TokenUnits } from "../../src/queue/token-units.ts";

test("whichever tokens are noted, whole or by their parts, the units are those of the last", () => {
  const texts = fc.string({ unit: "binary", maxLength: 200 });
  const whole = texts.map((text) => ({ text, batch: undefined }));
  // Few bases, that come again as a reserver's does.
  const batch = fc.record({ base: fc.oneof(fc.constantFrom("", "a:", "b:", `${"c".repeat(70)}:`), texts), number: fc.oneof(fc.nat(12), fc.maxSafeNat()) });
  const byParts = batch.map(({ base, number }) => ({ text: `${base}${number}`, batch: { text: `${base}${number}`, base, number } }));
  fc.assert(
    fc.property(fc.array(fc.oneof(whole, byParts), { maxLength: 40 }), (tokens) => {
      const noted = new TokenUnits();
      for (const { text, batch } of tokens) {
        if (batch === undefined) noted.note(text);
        else noted.begin(batch);
        expect(String.fromCharCode(...noted.units.subarray(0, noted.length))).toBe(text);
      }
    }),
    { numRuns: 1000 },
  );
});
