import { expect, test } from "vitest";
import { answerChannel, messageChannel, poolIndexKey, poolKeyBase } from "../../src/control/keys.ts";
import { checkId } from "../../src/job/name.ts";
import { queueKeys } from "../../src/store/keys.ts";

const names = (prefix: string): string[] => [poolIndexKey(prefix), `${poolKeyBase(prefix)}abc`, messageChannel(prefix), answerChannel(prefix, "abc")];

test("no two are alike, and what is of one prefix is of no other", () => {
  expect(new Set([...names("bull"), ...names("mill")]).size).toBe(8);
  for (const name of names("{bull}")) expect(name).toMatch(/^\{bull\}:/);
});

test("a queue named millrace has none of these keys, whatever its jobs are called", () => {
  const { base, ...keys } = queueKeys("bull", "millrace");
  for (const name of names("bull")) {
    expect(Object.values(keys)).not.toContain(name);
    const id = name.slice(base.length);
    expect(() => checkId(id)).toThrow();
  }
});
