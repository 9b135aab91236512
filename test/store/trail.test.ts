import { expect, test } from "vitest";
import { readTrail, writeTrail } from "../../src/store/trail.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";

test("an entry takes the place of the one that it ends", async () => {
  const [client, prefix] = [redisClient(), freshPrefix()];
  const begun = await writeTrail(client, prefix, { command: "a", outcome: "begun" });
  const other = await writeTrail(client, prefix, { command: "b", outcome: "begun" });
  const ended = await writeTrail(client, prefix, { command: "a", outcome: "done" }, begun);
  const entries = [];
  for await (const entry of readTrail(client, prefix, 0)) entries.push(entry);
  expect(entries).toEqual([
    { id: other, fields: { command: "b", outcome: "begun" } },
    { id: ended, fields: { command: "a", outcome: "done" } },
  ]);
});

test("a full Redis takes it, since somebody must make room there", async () => {
  const redis = await startRedis({ maxmemory: "3mb" });
  const client = redisClient(redis.url);
  for (let i = 0; ; i += 1) {
    const full = await client.set(`filler-${i}`, "x".repeat(100_000)).then(() => false, (error: Error) => error.message.startsWith("OOM"));
    if (full) break;
  }
  const begun = await writeTrail(client, "bull", { command: "queue purge", outcome: "begun" });
  await expect(writeTrail(client, "bull", { command: "queue purge", outcome: "done" }, begun)).resolves.toMatch(/^\d+-\d+$/);
  await expect(client.set("more", "x".repeat(100_000))).rejects.toThrow("OOM");
});
