import { onTestFinished, expect, test } from "vitest";
import { Client } from "../../src/redis/client.ts";
import { failure } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";

const LIMIT_MS = 1000;

async function frozen() {
  const server = await startRedis();
  const client = new Client({ port: server.port, host: "127.0.0.1", commandTimeout: LIMIT_MS, maxRetriesPerRequest: null });
  onTestFinished(() => client.abandon());
  await client.ping();
  server.pause();
  return { server, client };
}

test("each command has its own time, and what comes after one that was late has it too", async () => {
  const { server, client } = await frozen();
  const first = failure(client.ping());
  await new Promise((resolve) => setTimeout(resolve, LIMIT_MS / 2));
  const second = failure(client.ping());
  const third = failure(client.ping());
  let isFirstOver = false;
  void first.then(() => (isFirstOver = true));
  const ends = [await first, await second, await third];
  expect(isFirstOver).toBe(true);
  // Node counts from when this turn of its loop began, which is earlier by what the turn has taken.
  for (const { error, tookMs } of ends) {
    expect((error as Error).message).toBe("Command timed out");
    expect(tookMs).toBeGreaterThan(LIMIT_MS - 50);
  }
  expect((await failure(client.ping())).error).toMatchObject({ message: "Command timed out" });
  server.resume();
  await expect.poll(() => client.ping().catch(() => undefined)).toBe("PONG");
});

test("one that is answered in time is not touched when its time is up", async () => {
  const { server, client } = await frozen();
  const answered = client.ping();
  server.resume();
  expect(await answered).toBe("PONG");
  server.pause();
  expect((await failure(client.get("n"))).tookMs).toBeGreaterThan(LIMIT_MS - 50);
});

test("what waits for a connection is sent once there is one, and has its time from when it was asked for", async () => {
  const server = await startRedis();
  const { port } = server;
  await server.kill();
  const client = new Client({ port, host: "127.0.0.1", commandTimeout: 20_000, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  onTestFinished(() => client.abandon());
  const short = new Client({ port, host: "127.0.0.1", commandTimeout: LIMIT_MS, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  onTestFinished(() => short.abandon());
  const waits = client.ping();
  expect((await failure(short.ping())).error).toMatchObject({ message: "Command timed out" });
  await server.start();
  expect(await waits).toBe("PONG");
});
