/** Holds that the lint rules for users load the way the README says, from an installed package. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { project } from "./support/command.ts";

test("a project that extends oxlint.json has the rules against forgotten promises, with types", async () => {
  const folder = project({ ".oxlintrc.json": '{ "extends": ["./node_modules/millrace/oxlint.json"] }' });
  const oxlint = new URL("../node_modules/.bin/oxlint", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(oxlint, ["--print-config"], { cwd: folder });
  const config = JSON.parse(stdout) as { rules: Record<string, string>; options: { typeAware: boolean } };
  expect(config.rules).toMatchObject({ "typescript/no-floating-promises": "deny", "typescript/no-misused-promises": "deny", "typescript/await-thenable": "deny" });
  expect(config.options.typeAware).toBe(true);
});
