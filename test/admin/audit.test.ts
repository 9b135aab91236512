import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { OptionError } from "../../src/errors.ts";
import { TRAIL_MS, trailKey } from "../../src/store/trail.ts";
import { all, testOperator } from "./opened-operator.ts";

test("gives what was changed since then, oldest first, a page at a time", async () => {
  const operator = testOperator();
  await operator.ready();
  const { command, clock } = operator.connections;
  const now = clock.now();
  const ages = [7_200_000, ...Array.from({ length: 1200 }, (_, i) => 1_200_000 - i)];
  for (const age of ages) await command.xadd(trailKey(operator.prefix), `${now - age}-0`, "who", "a", "command", "c", "target", String(age), "outcome", "done");
  const found = await all(audit(operator, { since: "1h" }));
  expect(found.map(({ target }) => Number(target))).toEqual(ages.slice(1));
  expect(await all(audit(operator))).toHaveLength(ages.length);
});

test("what is older than 90 days is gone with the next change", async () => {
  const operator = testOperator();
  await operator.ready();
  const { command, clock } = operator.connections;
  await command.xadd(trailKey(operator.prefix), `${clock.now() - TRAIL_MS - 1000}-0`, "who", "a", "command", "old", "target", "t", "outcome", "done");
  await operator.change({ command: "new", target: "t" }, async () => undefined);
  expect(await command.xlen(trailKey(operator.prefix))).toBe(1);
  expect(await all(audit(operator))).toMatchObject([{ command: "new" }]);
});

test("is empty where nothing was changed, and refuses a time that is none before any I/O", async () => {
  expect(await all(audit(testOperator()))).toEqual([]);
  expect(() => audit(testOperator({ redis: "redis://127.0.0.1:1" }), { since: "yesterday" as never })).toThrow(OptionError);
});
