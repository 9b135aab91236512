import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { PreflightError } from "../../src/errors.ts";
import { preflight, type Warned } from "../../src/redis/preflight.ts";
import { event } from "../support/outcome.ts";
import { freeNodePort } from "../support/redis-process.ts";
import { startRedis } from "../support/redis.ts";

function client(url: string): Redis {
  const made = new Redis(url, { maxRetriesPerRequest: null });
  onTestFinished(() => made.disconnect());
  return made;
}

async function clientOf(settings: Readonly<Record<string, string>>): Promise<Redis> {
  return client((await startRedis(settings)).url);
}

/** What it finds, with a user that may do everything but what the rules take away. */
async function clientWith(settings: Readonly<Record<string, string>>, rules: string[]): Promise<Redis> {
  const { url } = await startRedis(settings);
  await client(url).acl("SETUSER", "worker", "on", ">secret", "~*", "+@all", ...rules);
  return client(url.replace("//", "//worker:secret@"));
}

const warned = (sentence: string, evidence: Warned["evidence"]): Warned => ({ sentence: expect.stringContaining(sentence) as string, evidence });

test("a server with an append-only file and noeviction is fit", async () => {
  const found = await preflight(await clientOf({}));
  expect(found.version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(found.durability).toContain("up to the last second");
  expect(found.warnings).toEqual([]);
});

test("refuses every eviction policy, and says how to set the right one", async () => {
  for (const policy of ["volatile-lru", "allkeys-random"]) {
    const redis = await clientOf({ "maxmemory-policy": policy });
    const error: unknown = await preflight(redis).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(PreflightError);
    expect((error as PreflightError).findings).toEqual([expect.stringContaining(`got ${policy}`)]);
    expect((error as PreflightError).evidence).toEqual([{ maxmemoryPolicy: policy }]);
    expect(String(error)).toContain("CONFIG SET maxmemory-policy noeviction");
    await redis.config("SET", "maxmemory-policy", "noeviction");
    await preflight(redis);
  }
});

test("reads the policy from INFO where CONFIG is forbidden, as on managed servers", async () => {
  await expect(preflight(await clientWith({ "maxmemory-policy": "allkeys-lru" }, ["-config"]))).rejects.toThrow(/got allkeys-lru/);
  const found = await preflight(await clientWith({ appendonly: "no" }, ["-config"]));
  expect(found.warnings).toEqual([warned("may not be read", { appendonly: "no", save: "may not be read" })]);
});

test("says what it could not find out where INFO is forbidden as well", async () => {
  const found = await preflight(await clientWith({}, ["-config", "-info"]));
  expect(found.version).toBe("unknown");
  expect(found.warnings).toContainEqual(warned("may not read maxmemory-policy", { maxmemoryPolicy: "may not be read" }));
});

test.each([
  [{ appendfsync: "always" }, "loses nothing", []],
  [{ appendfsync: "no" }, "half a minute", [{ appendonly: "yes", appendfsync: "no" }]],
  [{ appendonly: "no" }, "nothing is persisted", [{ appendonly: "no", save: "" }]],
  [{ appendonly: "no", save: "3600 1" }, "snapshots only", [{ appendonly: "no", save: "3600 1" }]],
])("says what a power loss costs with %j", async (settings, sentence, evidence) => {
  const found = await preflight(await clientOf(settings));
  expect(found.durability).toContain(sentence);
  expect(found.warnings).toEqual(evidence.map((each) => warned(sentence, each)));
});

test("refuses a replica", async () => {
  const primary = await startRedis();
  const replica = client((await startRedis({ replicaof: `127.0.0.1 ${primary.port}` })).url);
  await expect(preflight(replica)).rejects.toThrow(/got a replica/);
});

test("refuses a node of a cluster that was named as a server of its own", async () => {
  const node = await clientOf({ "cluster-enabled": "yes", port: String(await freeNodePort()) });
  await expect(preflight(node)).rejects.toThrow(/redis\+cluster:\/\//);
  await preflight(node, { onCluster: true });
});

test("warns when a fail-over can lose jobs, and when too few replicas are in step for any write", async () => {
  const primary = await startRedis();
  const replica = await startRedis({ replicaof: `127.0.0.1 ${primary.port}` });
  const redis = client(primary.url);
  await expect.poll(async () => redis.info("replication"), { timeout: 15_000 }).toContain("state=online");
  expect((await preflight(redis)).warnings).toEqual([warned("min-replicas-to-write is 0", { replicas: 1, minReplicasToWrite: 0, minReplicasMaxLagMs: 10_000 })]);
  await redis.config("SET", "min-replicas-to-write", "1");
  expect(await preflight(redis)).toMatchObject({ warnings: [], durability: expect.stringContaining("goes on taking jobs for 10 s") });
  // Which switches it off.
  await redis.config("SET", "min-replicas-max-lag", "0");
  expect((await preflight(redis)).warnings).toEqual([warned("min-replicas-to-write is 0", { replicas: 1, minReplicasToWrite: 0, minReplicasMaxLagMs: 0 })]);
  await redis.config("SET", "min-replicas-max-lag", "3");
  await replica.stop();
  await expect.poll(async () => redis.info("replication")).toContain("connected_slaves:0");
  expect((await preflight(redis)).warnings).toEqual([warned("0 of 1", { replicas: 0, replicasInStep: 0, minReplicasToWrite: 1 })]);
});

test("rejects when the server goes away meanwhile", async () => {
  const server = await startRedis();
  const redis = new Redis(server.url, { retryStrategy: () => null });
  redis.on("error", () => undefined);
  await event(redis, "ready");
  server.pause();
  const looking = preflight(redis);
  await Promise.all([expect(looking).rejects.toThrow(/closed/), server.kill()]);
});
