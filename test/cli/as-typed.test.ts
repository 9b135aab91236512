import { Command } from "commander";
import { expect, test } from "vitest";
import { asTyped } from "../../src/cli/as-typed.ts";
import { BackendError, OptionError } from "../../src/errors.ts";

const command = new Command("list").option("--since <time>", "").option("--max-rss <size>", "");

test.each([
  ['expected a duration for since of queueStats, got "1"', 'expected a duration for --since, got "1"'],
  ["expected one for maxRss of worker start: none", "expected one for --max-rss: none"],
  ["expected one for state of queue purge, got none", "expected one for state of queue purge, got none"],
  ['expected one for since of job "a", got none', 'expected one for since of job "a", got none'],
  ["expected JSON for --payload, got none", "expected JSON for --payload, got none"],
])("%s", (said, typed) => {
  const error = new OptionError(said);
  const found = asTyped(error, command) as OptionError;
  expect(found).toBeInstanceOf(OptionError);
  expect(found.message).toBe(typed);
  if (said === typed) expect(found).toBe(error);
  else expect(found.cause).toBe(error);
});

test("other errors are as they were", () => {
  const error = new BackendError("expected one for since of queueStats, got none");
  expect(asTyped(error, command)).toBe(error);
});
