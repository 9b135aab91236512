import { expect, test } from "vitest";
import { confirm } from "../../src/cli/confirm.ts";
import { Output } from "../../src/cli/output.ts";
import type { Context } from "../../src/cli/context.ts";
import { OptionError } from "../../src/errors.ts";
import { stockQueue } from "../interop/stock.ts";
import { start } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

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

/** What Node sees of a terminal, of a process whose streams are pipes. */
const TERMINAL = `data:text/javascript,${encodeURIComponent("for (const each of [process.stdin, process.stderr]) each.isTTY = true; process.stdin.setRawMode = () => process.stdin;")}`;

test.each([
  ["y", "y\r", { code: 0, stdout: "mail is deleted, with 1 job\n" }, 0],
  ["enter", "\r", { code: 1, stdout: "" }, 1],
  ["Ctrl-D", "\u0004", { code: 1, stdout: "", stderr: expect.stringMatching(/[^\n]\nwarning: nothing was done\n$/) as string }, 1],
  ["Ctrl-C", "\u0003", { code: 130, stdout: "", stderr: expect.stringMatching(/\[y\/N\] [^\n]*\n$/) as string }, 1],
])("at a terminal it asks, and takes %s for an answer", async (_, key, ended, left) => {
  const prefix = freshPrefix();
  await stockQueue(prefix, "mail").add("n", 1);
  const asking = start(["queue", "delete", "mail"], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix }, node: ["--import", TERMINAL] });
  await asking.says("[y/N]");
  asking.write(key);
  expect(await asking.ended).toMatchObject(ended);
  expect(await stockQueue(prefix, "mail").getWaitingCount()).toBe(left);
}, 60_000);
