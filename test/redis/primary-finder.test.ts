import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Guides, Server } from "../../src/redis/address.ts";
import { PrimaryFinder } from "../../src/redis/primary-finder.ts";
import { findServer } from "../../src/redis/server.ts";
import { takes } from "../support/outcome.ts";
import { freePort, runServer, type RedisProcess } from "../support/redis-process.ts";
import { startCluster, startRedis } from "../support/redis.ts";

const HOST = "127.0.0.1";

function finder(ports: readonly number[], rest: Partial<Guides> = {}, onMoved = (): void => undefined): PrimaryFinder {
  return new PrimaryFinder({ kind: "sentinel", servers: ports.map((port) => ({ host: HOST, port })), name: "m", options: {}, natMap: {}, ...rest }, onMoved);
}

/** Sentinels that know nothing of one another; each says that the primary is at its port. */
async function startSentinelsOf(primaryPorts: readonly number[]): Promise<{ port: number; process: RedisProcess }[]> {
  const program = await findServer();
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-sentinel-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return Promise.all(
    primaryPorts.map(async (primaryPort) => {
      const port = await freePort();
      const config = join(dir, `${port}.conf`);
      await writeFile(config, `port ${port}\nbind ${HOST}\ndir ${dir}\nlogfile ${dir}/log\nsentinel monitor m ${HOST} ${primaryPort} 3\n`);
      const process = await runServer(program!.path, [config, "--sentinel"], { port, dir });
      onTestFinished(() => process.end("SIGKILL"));
      return { port, process };
    }),
  );
}

test("believes most of the Sentinels, not the first to answer", async () => {
  const [one, other] = await Promise.all([startRedis(), startRedis()]);
  const sentinels = await startSentinelsOf([one.port, other.port, other.port]);
  const ports = sentinels.map(({ port }) => port);
  for (let round = 0; round < 5; round += 1) expect(await finder(ports).find()).toEqual({ host: HOST, port: other.port });
  const natMap: Record<string, Server> = { [`${HOST}:${other.port}`]: { host: "tunnel", port: 1 } };
  expect(await finder(ports, { natMap }).find()).toEqual({ host: "tunnel", port: 1 });
});

test("goes by whoever answers, soon, where others are gone or hang", async () => {
  const { port: primary } = await startRedis();
  const [answers, gone, hangs] = await startSentinelsOf([primary, primary, primary]);
  await gone!.process.end("SIGKILL");
  hangs!.process.signal("SIGSTOP");
  const found = finder([gone!.port, hangs!.port, answers!.port]).find();
  expect(await takes(found)).toBeLessThan(3000);
  expect(await found).toEqual({ host: HOST, port: primary });
});

test("says what they said where none of them knows", async () => {
  const { port: primary } = await startRedis();
  const [sentinel] = await startSentinelsOf([primary]);
  await expect(finder([sentinel!.port], { name: "other" }).find()).rejects.toThrow("watches no primary called other");
  await expect(finder([await freePort()]).find()).rejects.toThrow("ECONNREFUSED");
  await expect(finder([primary], { kind: "cluster" }).find()).rejects.toThrow("cluster support disabled");
});

test("tells when the primary has become another, and only then", async () => {
  const { nodes, primaryOf, moveSlot } = await startCluster({ primaries: 2, replicas: 0 });
  let moves = 0;
  const found = finder(nodes.map(({ port }) => port), { kind: "cluster", name: "key" }, () => void (moves += 1));
  const before = await found.find();
  await found.find();
  expect(moves).toBe(0);
  const other = nodes.find((node) => node.port !== before.port)!;
  await moveSlot("key", other);
  expect(await found.find()).toEqual({ host: HOST, port: other.port });
  expect([moves, await primaryOf("key")]).toEqual([1, other]);
});

test("asks the nodes of a cluster that it has learned of when those that were named are gone", async () => {
  const cluster = await startCluster({ primaries: 3, replicas: 0 });
  const key = "{somewhere}";
  const primary = await cluster.primaryOf(key);
  const named = cluster.nodes.find((node) => node !== primary);
  const found = finder([named!.port], { kind: "cluster", name: key });
  expect(await found.find()).toEqual({ host: HOST, port: primary.port });
  await named!.kill();
  expect(await found.find()).toEqual({ host: HOST, port: primary.port });
});
