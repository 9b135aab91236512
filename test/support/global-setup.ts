/** Sees to one Redis for the whole run: in a container where a Docker engine answers, else REDIS_URL, else a server of our own. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { TestProject } from "vitest/node";
import { dockerAnswers, startContainer } from "../../src/redis/container.ts";
import { ensureServer } from "../../src/redis/server.ts";
import { freePort, startProcess } from "./redis-process.ts";

interface SharedRedis {
  readonly url: string;
  stop(): Promise<void>;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const prefix = `test-${randomBytes(4).toString("hex")}-`;
  project.provide("redisPrefix", prefix);
  let shared: SharedRedis;
  try {
    shared = await provide(prefix);
  } catch (error) {
    // Tests without Redis run all the same; the others say this.
    project.provide("redis", { missing: (error as Error).message });
    return async () => undefined;
  }
  project.provide("redis", { url: shared.url });
  return () => shared.stop();
}

async function provide(prefix: string): Promise<SharedRedis> {
  if (await dockerAnswers()) return startContainer();
  const url = process.env["REDIS_URL"];
  if (url) return { url, stop: () => removeKeys(url, prefix) };
  const { path } = await ensureServer((line) => console.log(line));
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-redis-"));
  const port = await freePort();
  const server = await startProcess(path, dir, port, {});
  const stop = async (): Promise<void> => {
    await server.end("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  };
  return { url: `redis://127.0.0.1:${port}`, stop };
}

/** Leaves a server that is not ours as it was. */
async function removeKeys(url: string, prefix: string): Promise<void> {
  const client = new Redis(url);
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await client.unlink(keys as string[]);
  }
  await client.quit();
}
