/**
 * The nine programs of the article on asyncio that this project stands for, each run as its reader would run it.
 * All start together, so that the folder takes about as long as its longest program.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "millrace";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { numbers } from "./nine-numbers.ts";
import { type Ended, type Program, start } from "./program.ts";

const programs = new Map<string, Program>();
let queued: ReturnType<typeof throughRedis>;
/** What the server was asked for, and how many requests it had at once. */
const asked: string[] = [];
let together = 0;
let mostTogether = 0;
let server: Server;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (path === "/broken") return void response.writeHead(200, { "content-length": 100 }).write("half", () => request.socket.destroy());
    if (path === "/session") return void response.end("the page");
    together += 1;
    mostTogether = Math.max(mostTogether, together);
    // The first is answered last.
    setTimeout(() => ((together -= 1), response.end(`page ${path.slice(1)}`)), 400 - Number(path.slice(1)) * 100);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  programs.set("six-timeout", start("six-timeout.ts"));
  queued = throughRedis();
  queued.catch(() => undefined); // its test tells
  for (const name of ["one-hello", "two-coroutines", "three-tasks", "seven-cancellation", "eight-synchronisation", "nine-in-process"]) {
    programs.set(name, start(`${name}.ts`));
  }
  programs.set("four-gather", start("four-gather.ts", [url]));
  programs.set("five, whole", start("five-context-manager.ts", [`${url}/session`]));
  programs.set("five, broken", start("five-context-manager.ts", [`${url}/broken`]));
});

afterAll(() => {
  for (const program of programs.values()) program.kill("SIGKILL");
  server.closeAllConnections();
  server.close();
});

/** The ninth program over Redis: its consumers wait before its producers start, since each process takes its time to start. */
async function throughRedis() {
  const prefix = freshPrefix();
  const env = { REDIS_URL: redisUrl() };
  const begin = (role: string, count: number): Program[] =>
    Array.from({ length: count }, (_, n) => {
      const program = start(`nine-${role}.ts`, [prefix], env);
      programs.set(`nine, ${role} ${n}`, program);
      return program;
    });
  const consumers = begin("consumer", 2);
  await Promise.all(consumers.map(({ ready }) => ready));
  const produced = await Promise.all(begin("producer", 3).map(({ ended }) => ended));

  await using app = connect({ redis: redisUrl(), prefix });
  const queue = app.queue(numbers);
  await queue.join({ timeout: "20s" });
  const counts = await queue.counts();
  for (const consumer of consumers) consumer.kill("SIGTERM");
  return { produced, counts, consumed: await Promise.all(consumers.map(({ ended }) => ended)) };
}

/** Waits for a program that ends well and complains of nothing. */
async function endOf(name: string): Promise<Ended> {
  const ended = await programs.get(name)!.ended;
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  return ended;
}

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join("");

/** Timers may fire a millisecond early against another process's clock; the slack above is for a busy machine. */
function expectTook(ms: number, seconds: number): void {
  expect(ms).toBeGreaterThan(seconds * 1000 - 100);
  expect(ms).toBeLessThan(seconds * 1000 + 900);
}

test("1, hello: prints, sleeps for a second, prints", async () => {
  const { stdout, tookMs } = await endOf("one-hello");
  expect(stdout).toBe(lines("Hello", "World"));
  expectTook(tookMs, 1);
});

test("2, coroutines: two in one gather take 2 s in all, not 3", async () => {
  const { stdout, tookMs } = await endOf("two-coroutines");
  expect(stdout).toBe(lines("task 1 starting", "task 2 starting", "task 2 completed", "task 1 completed"));
  expectTook(tookMs, 2);
});

test("3, tasks: created first and awaited after, they overlap", async () => {
  const { stdout, tookMs } = await endOf("three-tasks");
  expect(stdout).toBe(lines("task 1 starting", "task 2 starting", "task 2 completed", "task 1 completed"));
  expectTook(tookMs, 2);
});

test("4, gather: three fetches at once, results in the order asked", async () => {
  const { stdout } = await endOf("four-gather");
  expect(stdout).toBe(lines("page 1", "page 2", "page 3"));
  expect(asked.filter((path) => /^\/\d$/.test(path)).toSorted()).toEqual(["/1", "/2", "/3"]);
  expect(mostTogether).toBe(3);
});

test("5, async context manager: the response is closed, then the session", async () => {
  const { code, stdout } = await programs.get("five, whole")!.ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: lines("the page", "response closed", "session closed") });
});

test("5, async context manager: both are closed when the body ends by an error, too", async () => {
  const { code, stdout, stderr } = await programs.get("five, broken")!.ended;
  expect({ code, stdout }).toEqual({ code: 1, stdout: lines("response closed", "session closed") });
  expect(stderr).toContain("aborted");
});

test("6, timeout: the task that takes too long is cancelled after its 5 s", async () => {
  const { stdout, silentMs } = await endOf("six-timeout");
  expect(stdout).toBe(lines("The task took too long"));
  expect(silentMs).toBeGreaterThan(5000);
});

test("7, cancellation: the cancelled task is awaited and its error caught", async () => {
  const { stdout } = await endOf("seven-cancellation");
  expect(stdout).toBe(lines("Task was cancelled"));
});

test("8, synchronisation: one at a time, and the lock is free after an error", async () => {
  const { stdout } = await endOf("eight-synchronisation");
  expect(stdout).toBe(
    lines(
      "the lock is free",
      "task 1 has the resource, 1 inside",
      "task 1 gives it back",
      "task 2 has the resource, 1 inside",
      "task 3 has the resource, 1 inside",
      "task 3 gives it back",
      "task 2 failed with the resource",
      "the lock is free",
    ),
  );
});

const fifteen = [0, 1, 2, 3, 4].flatMap((item) => Array<string>(3).fill(`Consumed ${item}`));

test("9, queue in process: fifteen items are consumed, and the consumers end", async () => {
  const { stdout } = await endOf("nine-in-process");
  expect(stdout).toBe(lines(...fifteen)); // the producers keep step, and the queue its order
});

test("9, queue over Redis: three producer processes, two consumer processes, join, then cancel", async () => {
  const { produced, counts, consumed } = await queued;
  for (const producer of produced) expect(producer).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect(counts).toMatchObject({ waiting: 0, active: 0, completed: 15 });
  for (const consumer of consumed) expect(consumer).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(Consumed \d\n)+$/) });
  expect(consumed.flatMap(({ stdout }) => stdout.trimEnd().split("\n")).toSorted()).toEqual(fifteen);
});
