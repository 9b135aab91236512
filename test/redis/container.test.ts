import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { dockerAnswers, startContainer } from "../../src/redis/container.ts";
import { takes } from "../support/outcome.ts";

const hasDocker = await dockerAnswers();

async function listenOn(place: string | number, answer: number | "never"): Promise<number> {
  const server = createServer((_, response) => {
    if (answer !== "never") response.writeHead(answer).end("OK");
  });
  server.listen(place);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("asks the engine that DOCKER_HOST names", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const socket = join(dir, "docker.sock");
  expect(await dockerAnswers({ DOCKER_HOST: `unix://${socket}` })).toBe(false);
  await listenOn(socket, 200);
  expect(await dockerAnswers({ DOCKER_HOST: `unix://${socket}` })).toBe(true);
  const port = await listenOn(0, 200);
  expect(await dockerAnswers({ DOCKER_HOST: `tcp://127.0.0.1:${port}` })).toBe(true);
  expect(await dockerAnswers({ DOCKER_HOST: "ssh://somewhere" })).toBe(false);
});

test("what listens there and is no engine, or says nothing, is soon passed over", async () => {
  const wrong = await listenOn(0, 404);
  expect(await dockerAnswers({ DOCKER_HOST: `tcp://127.0.0.1:${wrong}` })).toBe(false);
  const silent = await listenOn(0, "never");
  expect(await takes(dockerAnswers({ DOCKER_HOST: `tcp://127.0.0.1:${silent}` }))).toBeLessThan(3000);
});

test.skipIf(!hasDocker)("starts a Redis that is fit to hold jobs", async () => {
  const { url, stop } = await startContainer();
  const redis = new Redis(url);
  expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  expect(await redis.config("GET", "appendonly")).toEqual(["appendonly", "yes"]);
  await redis.quit();
  await stop();
}, 120_000);
