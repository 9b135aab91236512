import { expect, test } from "vitest";
import { PartitionsError } from "../../src/errors.ts";
import { claimPartitions, countPartitions, partitionsOf, storedPartitions } from "../../src/store/partitions.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, startCluster } from "../support/redis.ts";
import { openQueue } from "./opened-queue.ts";

test("partitions are queues of the same name, each under a hash tag of its own", async () => {
  const queue = await openQueue({ prefix: "shop", name: "mail" });
  const tagged = await openQueue({ prefix: "{shop}", name: "mail" });
  for (const each of [queue, tagged]) {
    const partitions = storedPartitions(each, 3);
    expect(partitions.map(({ keys }) => keys.wait)).toEqual(["{shop-0}:mail:wait", "{shop-1}:mail:wait", "{shop-2}:mail:wait"]);
    // One server has them all.
    expect(partitions.every(({ connections }) => connections === each.connections)).toBe(true);
  }
});

test("the first number that is claimed stands, and any other is refused", async () => {
  const queue = await openQueue({ prefix: freshPrefix() });
  await claimPartitions(queue, 1);
  expect([await countPartitions(queue), await queue.client.exists(queue.keys.meta)]).toEqual([1, 0]);
  const claims = await Promise.all([8, 8, 4].map((wanted) => failure(claimPartitions(queue, wanted))));
  expect(claims.map(({ error }) => error === undefined)).toEqual([true, true, false]);
  await claimPartitions(queue, 8);
  for (const wanted of [1, 4, 16]) {
    const { error } = await failure(claimPartitions(queue, wanted));
    expect(error).toBeInstanceOf(PartitionsError);
    expect(error).toMatchObject({ stored: 8, wanted, message: expect.stringContaining("millrace queue delete work") });
  }
  expect(await countPartitions(queue)).toBe(8);
});

test("all queues of Redis that a queue is are found by its name alone", async () => {
  const queue = await openQueue({ prefix: freshPrefix() });
  expect(await partitionsOf(queue)).toEqual([queue]);
  await claimPartitions(queue, 2);
  expect((await partitionsOf(queue)).map(({ prefix }) => prefix)).toEqual([queue.prefix, `{${queue.prefix}-0}`, `{${queue.prefix}-1}`]);
});

test("on a cluster eight partitions lie on all of three nodes, and are connected when they are given", async () => {
  const { url, nodes } = await startCluster({ primaries: 3, replicas: 0 });
  const queue = await openQueue({ url, prefix: "{bull}" });
  await claimPartitions(queue, 8);
  const all = await partitionsOf(queue);
  for (const { client, keys } of all) await client.lpush(keys.wait, "1");
  const ports = all.slice(1).map(({ client }) => client.stream.remotePort);
  expect(new Set(ports)).toEqual(new Set(nodes.map(({ port }) => port)));
  for (const port of new Set(ports)) expect(ports.filter((other) => other === port).length).toBeLessThanOrEqual(4);
});
