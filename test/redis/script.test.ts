import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { runPacked, runScript, type Script } from "../../src/redis/script.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";

const ECHO: Script = { name: "echo", lua: "return {KEYS[1], ARGV[1], ARGV[2], #ARGV}" };

test("hands over keys and arguments, numbers and bytes as well", async () => {
  const redis = redisClient();
  expect(await runScript(redis, ECHO, ["k"], ["é", 1.5])).toEqual(["k", "é", "1.5", 2]);
  expect(await runScript(redis, ECHO, ["k"], [Buffer.from("é"), 7])).toEqual(["k", "é", "7", 2]);
  const length: Script = { name: "length", lua: "return #ARGV[1]" };
  expect(await runScript(redis, length, [], [Buffer.from([0, 255, 13, 10])])).toBe(4);
});

test("sends the text once and the hash from then on, also when the server has forgotten the script", async () => {
  const server = await startRedis();
  const redis = new Redis(server.url);
  onTestFinished(() => redis.disconnect());
  const calls = async (): Promise<string> => (await redis.info("commandstats")).match(/cmdstat_eval:calls=(\d+)/)?.[1] ?? "0";
  await Promise.resolve();
  for (let n = 0; n < 3; n += 1) await runScript(redis, ECHO, ["k"], ["a", "b"]);
  expect(await calls()).toBe("1");
  await redis.script("FLUSH");
  expect(await Promise.all([1, 2, 3].map((n) => runScript(redis, ECHO, ["k"], [n, "b"])))).toEqual([1, 2, 3].map((n) => ["k", String(n), "b", 2]));
  await runScript(redis, ECHO, ["k"], ["a", "b"]);
  expect(await calls()).toBe("4");
});

test("unpacks one blob: instants as numbers, text as UTF-8, tables as objects and arrays", async () => {
  const packed: Script = {
    name: "packed",
    lua: `return cmsgpack.pack({ 1763800000123, -1763800000123, 9007199254740991, 0, -1, 70000, 1.5, true, "é\\0", { id = "x", list = { 1, 2 } }, {} })`,
  };
  expect(await runPacked(redisClient(), packed, [], [])).toEqual([
    1763800000123, -1763800000123, 9007199254740991, 0, -1, 70_000, 1.5, true, "é\0", { id: "x", list: [1, 2] }, [],
  ]);
});

test("unpacks what JSON text a thousand jobs hold, exactly", async () => {
  const text = JSON.stringify({ name: "smörgås 🥪", nested: { quote: '"\\\n' } });
  const packed: Script = { name: "many", lua: "local all = {} for i = 1, 1000 do all[i] = { ARGV[1], i } end return cmsgpack.pack(all)" };
  const all = (await runPacked(redisClient(), packed, [], [text])) as [string, number][];
  expect(all).toHaveLength(1000);
  expect(all[999]).toEqual([text, 1000]);
});

test("gives what is no blob as it is", async () => {
  expect(await runPacked(redisClient(), { name: "number", lua: "return 5" }, [], [])).toBe(5);
  expect(await runPacked(redisClient(), { name: "nil", lua: "return false" }, [], [])).toBeNull();
});

test("a script's own error comes as it is, without the arguments it was called with", async () => {
  const redis = redisClient();
  const failing: Script = { name: "failing", lua: "return redis.error_reply('MINE went wrong')" };
  const error: unknown = await runScript(redis, failing, [], ["a secret"]).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(BackendError);
  expect((error as Error).message).toContain("MINE went wrong");
  expect(JSON.stringify(error)).not.toContain("a secret");
  const wrongType: Script = { name: "wrong-type", lua: 'redis.call("SET", KEYS[1], "x", "EX", 60) return redis.call("LPUSH", KEYS[1], "y")' };
  await expect(runScript(redis, wrongType, [freshPrefix()], [])).rejects.toThrow("WRONGTYPE");
});
