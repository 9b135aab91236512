/** A Redis of a benchmark's own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { ensureServer } from "../../src/redis/server.ts";
import { freePort, startProcess } from "../support/redis-process.ts";
import type { Store } from "./store.ts";

/** @param settings  of its configuration */
export async function openRedis(settings: Readonly<Record<string, string>>): Promise<Store> {
  const { path, version } = await ensureServer((line) => console.error(line));
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
  const port = await freePort();
  const server = await startProcess(path, dir, port, settings);
  const url = `redis://127.0.0.1:${port}`;
  const redis = new Redis(url);
  const figure = async (section: string, field: string): Promise<number> => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(await redis.info(section))?.[1]);
  return {
    url,
    version: `Redis ${version}`,
    reset: async () => void (await redis.flushall()),
    cpuUs: async () => ((await figure("cpu", "used_cpu_sys")) + (await figure("cpu", "used_cpu_user"))) * 1e6,
    memory: () => figure("memory", "used_memory"),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await server.end("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
