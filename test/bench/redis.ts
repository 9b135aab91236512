/** A Redis of a benchmark's own, gone when it is over. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureServer } from "../../src/redis/server.ts";
import { freePort, startProcess } from "../support/redis-process.ts";

/** @param settings  of its configuration */
export async function withRedis(settings: Readonly<Record<string, string>>, work: (redis: { readonly url: string; readonly version: string }) => Promise<void>): Promise<void> {
  const { path, version } = await ensureServer((line) => console.error(line));
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
  const port = await freePort();
  const redis = await startProcess(path, dir, port, settings);
  try {
    await work({ url: `redis://127.0.0.1:${port}`, version });
  } finally {
    await redis.end("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}
