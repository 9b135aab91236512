/**
 * The health endpoint of a worker: `GET /healthz` and `GET /readyz`, each 200 or 503, with a report as JSON; `GET /metrics`
 * for Prometheus.
 */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { HealthAddress } from "../config.ts";
import { OptionError } from "../errors.ts";
import type { Scrape } from "../telemetry/prometheus.ts";

export interface Health {
  /** It works, or will: not to be restarted from outside. */
  readonly live: boolean;
  /** It takes jobs. */
  readonly ready: boolean;
  readonly report: object;
}

export interface HealthServer extends Disposable {
  /** Where it answers, for the log. */
  readonly at: string;
}

/**
 * Answers until it is disposed of.
 *
 * @param look    called for every request
 * @param scrape  called for every request of metrics
 * @throws OptionError when the address is not to be had
 */
export async function serveHealth(address: HealthAddress, look: () => Health, scrape: () => Promise<Scrape>): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const { method = "", url = "" } = request;
    const path = url.split("?", 1)[0];
    if (path !== "/healthz" && path !== "/readyz" && path !== "/metrics") return answer(response, 404, { error: "expected /healthz, /readyz or /metrics" });
    if (method !== "GET" && method !== "HEAD") return answer(response, 405, { error: "expected GET" });
    if (path === "/metrics") return void answerMetrics(response, scrape);
    const { live, ready, report } = look();
    return answer(response, (path === "/healthz" ? live : ready) ? 200 : 503, report);
  });
  try {
    if ("path" in address) await removeDead(address.path);
    await once(server.listen(address), "listening");
  } catch (cause) {
    throw new OptionError(`expected an address that is free for --health: ${(cause as Error).message}`, { cause });
  }
  return {
    at: shown(server),
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" }).end(`${JSON.stringify(body)}\n`);
}

async function answerMetrics(response: ServerResponse, scrape: () => Promise<Scrape>): Promise<void> {
  try {
    const { contentType, body } = await scrape();
    response.writeHead(200, { "content-type": contentType, "cache-control": "no-store" }).end(body);
  } catch (error) {
    answer(response, 500, { error: (error as Error).message });
  }
}

/** The socket of a process that was killed is still there, and nobody listens at it. */
async function removeDead(path: string): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") rmSync(path, { force: true });
  } finally {
    socket.destroy();
  }
}

function shown(server: Server): string {
  const at = server.address() as AddressInfo | string;
  if (typeof at === "string") return `unix:${at}`;
  return `http://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}`;
}
