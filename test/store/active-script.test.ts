import * as fc from "fast-check";
import { expect, test } from "vitest";
import { runPacked, type Script } from "../../src/redis/script.ts";
import { FROM_ACTIVE } from "../../src/store/active-script.ts";
import { ATTEMPT } from "../../src/store/lua.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

const LEAVE: Script = {
  name: "leave",
  lua: `
local active, base = KEYS[1], ARGV[1]
local wait, completed, failed, delayed, prioritized = base .. 'wait', base .. 'completed', base .. 'failed', base .. 'delayed', base .. 'prioritized'
${ATTEMPT}${FROM_ACTIVE}
local ids = {unpack(ARGV, 2)}
local found, gone, held = activeOf(ids), {}, {}
for n, id in ipairs(ids) do
  if found.gone[n] then gone[#gone + 1] = n - 1 else held[#held + 1] = id end
end
moveFromActive(held, found, function() end)
return cmsgpack.pack(gone)
`,
};

/** Ids that stand in active, oldest first, and those that leave it: few or many, in any order, some of them twice or not there. */
const scenes = fc
  .tuple(fc.integer({ min: 1, max: 90 }), fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 90 }), fc.integer({ min: 0, max: 90 }))
  .map(([standing, scattered, inOrder]) => {
    const active = Array.from({ length: standing }, (_, n) => `job-${n}`);
    return { active, leaving: [...active.slice(0, inOrder), ...scattered.map((n) => `job-${n}`)] };
  });

test("who leaves the list of the active is gone from it, the others stand as they stood, and who was not there is told", async () => {
  const client = redisClient();
  await fc.assert(
    fc.asyncProperty(scenes, async ({ active, leaving }) => {
      const base = `${freshPrefix()}:work:`;
      await client.lpush(`${base}active`, ...active);
      const gone = await runPacked(client, LEAVE, [`${base}active`], [base, ...leaving]);
      const left = new Set(active);
      const expected = leaving.flatMap((id, n) => (left.delete(id) ? [] : [n]));
      expect(gone).toEqual(expected);
      expect(await client.lrange(`${base}active`, 0, -1)).toEqual([...left].toReversed());
      expect(await client.exists(`${base}millrace:staying`)).toBe(0);
    }),
    { numRuns: 300 },
  );
});
