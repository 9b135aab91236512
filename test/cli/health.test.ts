import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { serveHealth, type Health, type HealthServer } from "../../src/cli/health.ts";
import type { HealthAddress } from "../../src/config.ts";
import { failure } from "../support/outcome.ts";

const anyPort = { host: "127.0.0.1", port: 0 };
const well: Health = { live: true, ready: true, report: { state: "ready" } };

const scrape = async () => ({ contentType: "text/plain", body: "up 1\n" });

async function served(address: HealthAddress, look: () => Health = () => well): Promise<HealthServer> {
  const server = await serveHealth(address, look, scrape);
  onTestFinished(() => server[Symbol.dispose]());
  return server;
}

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-health-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "health.sock");
}

async function overSocket(socketPath: string): Promise<string> {
  const [response] = (await once(request({ socketPath, path: "/readyz" }).end(), "response")) as [NodeJS.ReadableStream];
  return text(response);
}

test("answers each question by itself, looked up anew for each", async () => {
  let health = well;
  const { at } = await served(anyPort, () => health);
  const ask = async (path: string, method = "GET") => {
    const response = await fetch(at + path, { method });
    return [response.status, await response.text()];
  };
  expect(await ask("/healthz")).toEqual([200, '{"state":"ready"}\n']);
  expect(await ask("/readyz?verbose")).toEqual([200, '{"state":"ready"}\n']);
  expect(await ask("/readyz", "HEAD")).toEqual([200, ""]);
  health = { live: true, ready: false, report: { state: "draining" } };
  expect(await ask("/healthz")).toEqual([200, '{"state":"draining"}\n']);
  expect(await ask("/readyz")).toEqual([503, '{"state":"draining"}\n']);
  health = { live: false, ready: false, report: {} };
  expect((await ask("/healthz"))[0]).toBe(503);
  expect((await ask("/"))[0]).toBe(404);
  expect((await ask("/readyz", "POST"))[0]).toBe(405);
});

test("gives Prometheus what it scrapes, and says why it cannot", async () => {
  let scraped = scrape;
  const server = await serveHealth(anyPort, () => well, () => scraped());
  onTestFinished(() => server[Symbol.dispose]());
  const ask = async () => {
    const response = await fetch(`${server.at}/metrics`);
    return [response.status, response.headers.get("content-type"), await response.text()];
  };
  expect(await ask()).toEqual([200, "text/plain", "up 1\n"]);
  scraped = () => Promise.reject(new Error("no"));
  expect(await ask()).toEqual([500, "application/json", '{"error":"no"}\n']);
});

test("says who asks for an address that is taken, and what for", async () => {
  const { at } = await served(anyPort);
  const port = Number(new URL(at).port);
  expect((await failure(serveHealth({ host: "127.0.0.1", port }, () => well, scrape))).error).toMatchObject({
    code: "OPTION_INVALID",
    message: expect.stringMatching(/^expected an address that is free for --health: .*EADDRINUSE/) as string,
  });
});

test("answers at a Unix socket, which it takes from a process that was killed and from no other, and removes", async () => {
  const path = socketPath();
  const killed = spawn(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("listens"))`]);
  await once(killed.stdout, "data");
  killed.kill("SIGKILL");
  await once(killed, "exit");
  expect(existsSync(path)).toBe(true);

  const server = await served({ path });
  expect(server.at).toBe(`unix:${path}`);
  expect(await overSocket(path)).toBe('{"state":"ready"}\n');
  expect((await failure(serveHealth({ path }, () => well, scrape))).error).toMatchObject({ code: "OPTION_INVALID" });
  expect(await overSocket(path)).toBe('{"state":"ready"}\n');
  server[Symbol.dispose]();
  await expect.poll(() => existsSync(path)).toBe(false);
});
