import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { builtAddress } from "../../src/concurrency/built-address.ts";

test("a module named by its source is found where it was compiled", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-built-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const url = (name: string): URL => pathToFileURL(join(folder, name));
  for (const name of ["built.js", "built.mjs", "built.cjs", "both.ts", "both.js"]) writeFileSync(join(folder, name), "");
  expect(builtAddress(url("built.ts"))).toBe(url("built.js").href);
  expect(builtAddress(url("built.mts"))).toBe(url("built.mjs").href);
  expect(builtAddress(url("built.cts"))).toBe(url("built.cjs").href);
  expect(builtAddress(url("both.ts"))).toBe(url("both.ts").href);
  expect(builtAddress(url("neither.ts"))).toBe(url("neither.ts").href);
  expect(builtAddress(new URL("data:text/javascript,0"))).toBe("data:text/javascript,0");
});
