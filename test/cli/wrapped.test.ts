import { array, assert, integer, property, stringMatching } from "fast-check";
import { expect, test } from "vitest";
import { wrapped } from "../../src/cli/wrapped.ts";

test("every word stands, in order, and no line is wider than it must be", () => {
  assert(property(array(stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }), integer({ min: 5, max: 40 }), (words, width) => {
    const lines = wrapped(words.join(" "), width);
    expect(lines.join(" ")).toBe(words.join(" "));
    for (const line of lines) expect(line.length <= width || !line.includes(" ")).toBe(true);
    for (const [i, line] of lines.slice(1).entries()) expect(lines[i]!.length + 1 + line.split(" ")[0]!.length).toBeGreaterThan(width);
  }));
});
