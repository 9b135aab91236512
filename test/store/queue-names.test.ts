import { expect, test } from "vitest";
import { queueNames } from "../../src/store/queue-names.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

test("asks first for those that somebody guesses, and gives none that there is not", async () => {
  const client = redisClient();
  const prefix = freshPrefix();
  for (const name of ["a", "b", "c"]) await client.hset(`${prefix}:${name}:meta`, "opts.maxLenEvents", 10_000);
  const names: string[] = [];
  for await (const name of queueNames(client, prefix, ["c", "gone", "b:c", "", "b", "c"])) names.push(name);
  expect(names).toEqual(["c", "b", "a"]);
});

test("finds queues in the midst of many keys, each once, and under a prefix that is a pattern to Redis", async () => {
  const client = redisClient();
  const prefix = `test-[a]*${Date.now()}`;
  const pipeline = client.pipeline();
  for (let i = 0; i < 12_000; i += 1) pipeline.set(`${prefix}:q${i % 3}:${i}`, "", "EX", 60);
  for (let i = 0; i < 3; i += 1) pipeline.hset(`${prefix}:q${i}:meta`, "opts.maxLenEvents", 10_000).expire(`${prefix}:q${i}:meta`, 60);
  await pipeline.exec();
  const names: string[] = [];
  for await (const name of queueNames(client, prefix)) names.push(name);
  expect(names.toSorted()).toEqual(["q0", "q1", "q2"]);
});
