/** A Redis in a container, where a Docker engine runs and no server program can be had. */
import { request } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { RedisServerError } from "../errors.ts";

const IMAGE = "redis:7.4-alpine";
const PORT = 6379;
const PING_MS = 1500;

export interface RedisContainer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Whether a Docker engine answers, at `DOCKER_HOST` or where engines usually listen. Quick: loads no client. */
export async function dockerAnswers(env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  for (const place of enginePlaces(env)) {
    if (await pings(place)) return true;
  }
  return false;
}

/**
 * Starts a Redis with an append-only file, on a port of its own; the container is removed when it is stopped, and by
 * testcontainers' own reaper when this process is killed.
 *
 * @throws RedisServerError when testcontainers is not installed (it comes with Millrace's sources, not with the package),
 *   or the engine cannot start the container
 */
export async function startContainer(): Promise<RedisContainer> {
  const { GenericContainer } = await import("testcontainers").catch((cause: unknown) => {
    throw new RedisServerError("a Docker engine answers, but testcontainers is not installed: npm install testcontainers; or set REDIS_URL to a server that runs", { cause });
  });
  try {
    const container = await new GenericContainer(IMAGE)
      .withCommand(["redis-server", "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"])
      .withExposedPorts(PORT)
      .start();
    return {
      url: `redis://${container.getHost()}:${container.getMappedPort(PORT)}`,
      stop: async () => {
        await container.stop();
      },
    };
  } catch (cause) {
    throw new RedisServerError(`Docker could not start ${IMAGE}: ${(cause as Error).message}`, { cause });
  }
}

type EnginePlace = { readonly socketPath: string } | { readonly host: string; readonly port: number };

function enginePlaces(env: NodeJS.ProcessEnv): EnginePlace[] {
  const named = env["DOCKER_HOST"];
  if (named) {
    const url = URL.parse(named);
    if (url?.protocol === "unix:") return [{ socketPath: url.pathname }];
    return url?.protocol === "tcp:" ? [{ host: url.hostname, port: Number(url.port) || 2375 }] : [];
  }
  const home = env["HOME"] ?? homedir();
  const sockets = ["/var/run/docker.sock", join(home, ".docker/run/docker.sock"), join(home, ".docker/desktop/docker.sock")];
  const runtime = env["XDG_RUNTIME_DIR"];
  if (runtime) sockets.push(join(runtime, "docker.sock"));
  return sockets.map((socketPath) => ({ socketPath }));
}

function pings(place: EnginePlace): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ ...place, path: "/_ping", timeout: PING_MS }, (response) => {
      response.resume();
      // An engine behind TLS refuses a plain request, and is there all the same.
      resolve(response.statusCode === 200 || response.statusCode === 400);
    });
    ping.once("timeout", () => ping.destroy());
    ping.once("error", () => resolve(false));
    ping.end();
  });
}
