import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { Supervised } from "../../src/pool/supervised.ts";
import { PLACE_VARIABLE } from "../../src/pool/supervision.ts";

const { send } = process;
afterEach(() => {
  delete process.env[PLACE_VARIABLE];
  if (send === undefined) delete process.send;
  else process.send = send;
});

test("a process without a channel has no supervisor, whatever its environment says", () => {
  delete process.send;
  process.env[PLACE_VARIABLE] = "1";
  expect(Supervised.here()).toBeUndefined();
});

test("a process that was forked by somebody else has none, and what a worker starts is not told of its place", () => {
  process.send ??= () => true;
  expect(Supervised.here()).toBeUndefined();
  process.env[PLACE_VARIABLE] = "3";
  expect(Supervised.here()?.place).toBe(3);
  expect(process.env[PLACE_VARIABLE]).toBeUndefined();
  expect(Supervised.here()).toBeUndefined();
});

test("tells how it fares at once and every second, and notices that its channel is gone", async () => {
  const child = fork(fileURLToPath(new URL("obedient.ts", import.meta.url)), ["busy"], { env: { ...process.env, [PLACE_VARIABLE]: "1" }, execArgv: [] });
  onTestFinished(() => void child.kill("SIGKILL"));
  for (let told = 0; told < 2; told += 1) {
    const [message] = (await once(child, "message")) as unknown[];
    expect(message).toEqual({ millrace: { state: "ready", running: 0, ended: 0, stuck: 0, rssBytes: 1, redis: true } });
  }
  child.disconnect();
  expect(await once(child, "exit")).toEqual([0, null]);
});
