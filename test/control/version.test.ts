import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { packageVersion } from "../../src/control/version.ts";

test("is that of the package", () => {
  expect(packageVersion()).toBe(packageJson.version);
});
