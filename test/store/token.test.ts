import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { runScript } from "../../src/redis/script.ts";
import { IS_OURS, newTokenBase } from "../../src/store/token.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("the script tells our tokens from those of stock workers, and of who fetches by hand", async () => {
  const queue = await openQueue();
  const isOurs = async (token: string): Promise<boolean> => (await runScript(queue.client, { name: "is-ours", lua: `${IS_OURS} return isOurs(ARGV[1]) and 1 or 0` }, [queue.keys.meta], [token])) === 1;
  for (let n = 0; n < 100; n += 1) expect(await isOurs(newTokenBase())).toBe(true);
  expect(await isOurs(`${newTokenBase()}:12345678`)).toBe(true);
  for (const token of [`${randomUUID()}:0`, randomUUID(), "0", "by-hand", `${newTokenBase()}:`, `${newTokenBase()}1`, `${newTokenBase()}:1:2`, "a b c d e f.:1"]) expect(await isOurs(token)).toBe(false);
});

test("whatever holds a job here holds it under such a token", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  const [leased] = await consumerOf(queue).reserver.take(1);
  expect(leased!.token).toMatch(/^[\w-]{12}:\d+$/);
  expect(await queue.client.get(`${queue.keys.base}a:lock`)).toBe(leased!.token);
});
