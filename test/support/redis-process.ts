/** A redis-server as a child process that never outlives the process that started it. */
import { spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { Redis, type RedisOptions } from "ioredis";

export interface RedisProcess {
  readonly pid: number;
  /** Sends the signal and waits until the server is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Runs the server and says its id; kills it when its fourth stream closes, as it does however its parent ends. */
const GUARD = `"$@" & server=$!; echo $server; { cat; kill -9 $server; } <&3 >/dev/null 2>&1 & wait $server; kill $!`;

/** Starts a server on a port of this machine and waits until it answers. */
export function startProcess(program: string, dir: string, port: number, settings: Readonly<Record<string, string>>): Promise<RedisProcess> {
  const given = { bind: "127.0.0.1", dir, appendonly: "yes", save: "", "maxmemory-policy": "noeviction", logfile: join(dir, "redis.log"), ...settings, port: String(port) };
  return runServer(program, Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]), port);
}

/** Starts a program with these arguments and waits until it answers on the port, to a client with these options. */
export function runServer(program: string, args: readonly string[], port: number, options: RedisOptions = {}): Promise<RedisProcess> {
  return runGuarded(program, args, () => answer(port, options));
}

/**
 * Starts a program and waits until it answers.
 *
 * @param user  whom it runs as. Ours unless told
 */
export async function runGuarded(program: string, args: readonly string[], answers: () => Promise<unknown>, user: Pick<SpawnOptions, "uid" | "gid"> = {}): Promise<RedisProcess> {
  const guard = spawn("sh", ["-c", GUARD, "guard", program, ...args], { ...user, stdio: ["ignore", "pipe", "ignore", "pipe"] });
  const ended = once(guard, "exit").then(() => (guard.stdio[3] as Duplex).destroy());
  const [line] = (await once(guard.stdout as Readable, "data")) as [Buffer];
  await Promise.race([answers(), ended.then(() => Promise.reject(new Error(`${program} ${args.join(" ")} ended at once`)))]);
  const pid = Number(line.toString());
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    // Again and again: a server that writes its first append-only file forgets that it was told to end.
    for (let running = true; running; running = await Promise.race([ended.then(() => false), delay(100, true)])) {
      try {
        if (signal !== "SIGKILL") process.kill(pid, "SIGCONT");
        process.kill(pid, signal);
      } catch {
        // Ended already.
      }
    }
  };
  return { pid, end };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answer(port: number, options: RedisOptions): Promise<void> {
  const client = new Redis({ ...(options as RedisOptions & { replyMapping?: "legacy" }), host: "127.0.0.1", port, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on("error", () => undefined);
  try {
    await client.ping();
  } catch (error) {
    // It wants a password: that is an answer.
    if ((error as Error).name !== "ReplyError") throw error;
  } finally {
    client.disconnect();
  }
}
