/** A primary with replicas, and Sentinels that watch it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { openRedis, type OwnRedis } from "./own-redis.ts";
import { freePort, runServer, type RedisProcess } from "./redis-process.ts";
import type { ServerProgram } from "./server-image.ts";

export interface Sentinels extends AsyncDisposable {
  /** `redis+sentinel://…`: all Sentinels, and the primary's name. */
  readonly url: string;
  readonly name: string;
  readonly ports: readonly number[];
  /** The first was the primary at the start. */
  readonly servers: readonly OwnRedis[];
  /** Who most of the Sentinels say is the primary. */
  primary(): Promise<OwnRedis>;
}

export interface SentinelsOptions {
  /** @default 2 */
  readonly replicas?: number;
  /** After so long without an answer a Sentinel takes the primary for down. @default 1000 */
  readonly downAfterMs?: number;
  /** Of the primary and its replicas. */
  readonly settings?: Readonly<Record<string, string>>;
}

const NAME = "primary";
const SENTINELS = 3;

/** Starts them; they do not outlive this process. */
export async function openSentinels(program: ServerProgram, { replicas = 2, downAfterMs = 1000, settings = {} }: SentinelsOptions = {}): Promise<Sentinels> {
  const quick = { "repl-diskless-sync-delay": "0", ...settings };
  const primary = await openRedis(program, quick);
  const copies = await Promise.all(Array.from({ length: replicas }, () => openRedis(program, { ...quick, replicaof: `127.0.0.1 ${primary.port}` })));
  const servers = [primary, ...copies];
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-sentinel-"));
  await replicated(primary, replicas);
  const sentinels: { readonly port: number; readonly process: RedisProcess }[] = [];
  for (let i = 0; i < SENTINELS; i += 1) {
    const port = await freePort();
    const config = join(dir, `${port}.conf`);
    await writeFile(config, [
      `port ${port}`, "bind 127.0.0.1", `dir ${dir}`, `logfile ${join(dir, `${port}.log`)}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${primary.port} 2`, `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
      `sentinel failover-timeout ${NAME} 10000`, "",
    ].join("\n"));
    sentinels.push({ port, process: await runServer(program, [config, "--sentinel"], { port, dir }) });
  }
  const ports = sentinels.map(({ port }) => port);
  await Promise.all(ports.map((port) => until(port, async (sentinel) => {
    const [state] = (await sentinel.call("SENTINEL", "masters")) as string[][];
    const told = (name: string): string | undefined => state?.[state.indexOf(name) + 1];
    return told("num-slaves") === String(replicas) && told("num-other-sentinels") === String(SENTINELS - 1);
  })));
  return {
    url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/${NAME}`,
    name: NAME,
    ports,
    servers,
    async primary() {
      const named = await Promise.all(ports.map((port) => asked(port, (sentinel) => sentinel.call("SENTINEL", "get-master-addr-by-name", NAME))));
      const votes = named.map((told) => Number((told as string[])[1]));
      const most = votes.toSorted((one, other) => one - other)[1];
      return servers.find(({ port }) => port === most)!;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sentinels.map(({ process }) => process.end("SIGKILL")), ...servers.map((server) => server[Symbol.asyncDispose]())]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Until so many replicas have all that the primary has. */
export function replicated({ port }: { readonly port: number }, replicas: number): Promise<void> {
  return until(port, async (redis) => [...(await redis.info("replication")).matchAll(/state=online/g)].length >= replicas);
}

/** Until what is asked of the server is so. */
export async function until(port: number, holds: (redis: Redis) => Promise<boolean>): Promise<void> {
  await asked(port, async (redis) => {
    while (!(await holds(redis))) await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

async function asked<T>(port: number, work: (redis: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: "127.0.0.1", port });
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
