import { expect, test } from "vitest";
import { confirm } from "../../src/cli/confirm.ts";
import { Output } from "../../src/cli/output.ts";
import type { Context } from "../../src/cli/context.ts";
import { OptionError } from "../../src/errors.ts";

const printed: [string | undefined, object][] = [];
const output = Object.assign(new Output({ json: false }), { result: async (text: string | undefined, value: object) => void printed.push([text, value]) });
const context = { output, interruption: { signal: new AbortController().signal } } as unknown as Context;

test("without a terminal it needs --yes, and says so", async () => {
  await expect(confirm(context, "purge 3 jobs of mail", {}, {})).rejects.toThrow(OptionError);
  await expect(confirm(context, "purge 3 jobs of mail", {}, {})).rejects.toThrow("--dry-run says what would be done");
  expect(await confirm(context, "purge 3 jobs of mail", {}, { yes: true })).toBe("yes");
});

test("--dry-run says what would be done, and is no yes, even beside --yes", async () => {
  printed.length = 0;
  expect(await confirm(context, "purge 3 jobs of mail", { purged: 3 }, { yes: true, dryRun: true })).toBe("dry run");
  expect(printed).toEqual([["would purge 3 jobs of mail", { dryRun: true, purged: 3 }]]);
});
