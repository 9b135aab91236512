/** A redis-server, as a child process or in a container, that never outlives the process that started it. */
import { spawn, type SpawnOptions } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { Redis, type RedisOptions } from "ioredis";
import { containerCommand, pidOf, type ServerProgram, signalContainer } from "./server-image.ts";

export interface RedisProcess {
  readonly pid: number;
  /** @throws when it runs no more */
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits until the server is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface ServerPlace {
  readonly port: number;
  /** Holds every file that it is told of. */
  readonly dir: string;
}

const NODES_ABOVE = 10_000;

/** Runs the server and says its id; ends it when its fourth stream closes, as it does however its parent ends. */
const guard = (endIt: string): string => `"$@" & server=$!; echo $server; { cat; ${endIt}; } <&3 >/dev/null 2>&1 & wait $server; kill $!`;

/** Starts a server on a port of this machine and waits until it answers. */
export function startProcess(program: ServerProgram, dir: string, port: number, settings: Readonly<Record<string, string>>): Promise<RedisProcess> {
  const paths = ["--dir", dir, "--logfile", join(dir, "redis.log")];
  const given = { bind: "127.0.0.1", appendonly: "yes", save: "", "maxmemory-policy": "noeviction", ...settings, port: String(port) };
  // Redis 6 takes the words of a value one by one.
  return runServer(program, [...paths, ...Object.entries(given).flatMap(([name, value]) => [`--${name}`, ...value.split(" ")])], { port, dir });
}

/** Starts a server with these arguments and waits until it answers on the port, to a client with these options. */
export async function runServer(program: ServerProgram, args: readonly string[], { port, dir }: ServerPlace, options: RedisOptions = {}): Promise<RedisProcess> {
  const answers = (): Promise<void> => answer(port, options);
  if (typeof program === "string") return runGuarded(program, args, answers);
  const name = `millrace-test-${randomBytes(6).toString("hex")}`;
  const { ended } = await started(containerCommand(program, name, dir, args), `docker rm --force ${name}`, answers);
  return server(pidOf(name), ended, (signal) => signalContainer(name, signal));
}

/**
 * Starts a program and waits until it answers.
 *
 * @param user  whom it runs as. Ours unless told
 */
export async function runGuarded(program: string, args: readonly string[], answers: () => Promise<unknown>, user: Pick<SpawnOptions, "uid" | "gid"> = {}): Promise<RedisProcess> {
  const { pid, ended } = await started([program, ...args], "kill -9 $server", answers, user);
  return server(pid, ended, (signal) => void process.kill(pid, signal));
}

async function started(command: readonly string[], endIt: string, answers: () => Promise<unknown>, user: Pick<SpawnOptions, "uid" | "gid"> = {}) {
  const guarded = spawn("sh", ["-c", guard(endIt), "guard", ...command], { ...user, stdio: ["ignore", "pipe", "ignore", "pipe"] });
  const ended = once(guarded, "exit").then(() => (guarded.stdio[3] as Duplex).destroy());
  const [line] = (await once(guarded.stdout as Readable, "data")) as [Buffer];
  await Promise.race([answers(), ended.then(() => Promise.reject(new Error(`${command.join(" ")} ended at once`)))]);
  return { pid: Number(line.toString()), ended };
}

function server(pid: number, ended: Promise<unknown>, signal: RedisProcess["signal"]): RedisProcess {
  const end = async (last: NodeJS.Signals): Promise<void> => {
    // Again and again: a server that writes its first append-only file forgets that it was told to end.
    for (let running = true; running; running = await Promise.race([ended.then(() => false), delay(100, true)])) {
      try {
        if (last !== "SIGKILL") signal("SIGCONT");
        signal(last);
      } catch {
        // Ended already.
      }
    }
  };
  return { pid, signal, end };
}

export async function freePort(): Promise<number> {
  return (await taken(0))!;
}

/** A free port for a node of a cluster: it talks to the others 10,000 above it, and Redis 6 cannot be told otherwise. */
export async function freeNodePort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port + NODES_ABOVE < 65_536 && (await taken(port + NODES_ABOVE)) !== undefined) return port;
  }
}

/** Takes a port, of any number for 0, and lets it go; `undefined` where it is somebody's. */
async function taken(asked: number): Promise<number | undefined> {
  const server = createServer();
  try {
    await once(server.listen(asked, "127.0.0.1"), "listening");
  } catch {
    return undefined;
  }
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
