import { expect, test } from "vitest";
import { jobKeyOf } from "../../src/store/job-parts.ts";
import { queueKeys } from "../../src/store/keys.ts";

test.each([
  ["17", { id: "17", part: undefined }],
  ["logs", { id: "logs", part: undefined }],
  ["17:logs", { id: "17", part: "logs" }],
  ["failed-order:failed", { id: "failed-order", part: "failed" }],
  ["repeat:nightly:1700000000000", { id: "repeat:nightly:1700000000000", part: undefined }],
  ["repeat:at:nine:1700000000000:lock", { id: "repeat:at:nine:1700000000000", part: "lock" }],
])("%s belongs to a job", (rest, found) => expect(jobKeyOf(rest)).toEqual(found));

test.each(["", ":logs", "repeat:nightly", "repeat:failed", "de:failed", "metrics:failed", "metrics:failed:data", "millrace:put:AbCdEfGhIjKl", "17:other", "17:other:logs"])("%s does not", (rest) => expect(jobKeyOf(rest)).toBeUndefined());

test("no key of a queue itself is taken for one of a job", () => {
  const { base, ...own } = queueKeys("bull", "mail");
  expect(Object.values(own).filter((key) => jobKeyOf(key.slice(base.length)) !== undefined)).toEqual([]);
});
