import { expect, test } from "vitest";
import { ForeignScript, isForeignClient, type ForeignClient } from "../../src/redis/foreign-script.ts";
import { redisClient } from "../support/redis.ts";

const script = (): ForeignScript => new ForeignScript({ name: "pack", lua: "return cmsgpack.pack({KEYS[1], ARGV[1], 1700000000000})" });

test("runs a script and decodes what it has packed", async () => {
  const client = redisClient() as ForeignClient & ReturnType<typeof redisClient>;
  const pack = script();
  expect(await pack.runPacked(client, ["k"], ["ä"])).toEqual(["k", "ä", 1_700_000_000_000]);
  expect(await pack.runPacked(client, ["k"], [2])).toEqual(["k", "2", 1_700_000_000_000]);
});

test("runs it again where the server has forgotten it", async () => {
  const client = redisClient() as ForeignClient & ReturnType<typeof redisClient>;
  const pack = script();
  await pack.runPacked(client, ["k"], ["a"]);
  await client.script("FLUSH");
  expect(await pack.runPacked(client, ["k"], ["a"])).toEqual(["k", "a", 1_700_000_000_000]);
});

test("gives errors as the client gives them", async () => {
  const client = redisClient() as ForeignClient & ReturnType<typeof redisClient>;
  const failing = new ForeignScript({ name: "failing", lua: "return redis.error_reply('NOPE it is so')" });
  await expect(failing.runPacked(client, [], [])).rejects.toMatchObject({ name: "ReplyError", message: expect.stringMatching(/^NOPE it is so/) });
});

test("knows a client of ioredis from others", () => {
  expect(isForeignClient(redisClient())).toBe(true);
  expect(isForeignClient({ eval: () => undefined })).toBe(false);
});
