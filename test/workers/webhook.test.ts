import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import * as fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { connect } from "millrace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { webhook } from "../../producers/jobs/webhook.ts";
import { createLog } from "../../src/log.ts";
import webhookHandler, { deliver, retryAfterMs } from "../../workers/webhook.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const variable = "WEBHOOK_SECRET_TEST";
let server: Server;
let url: string;
let answer: RequestListener;
let requests: { request: IncomingMessage; body: string }[];
let connections: number;

beforeEach(async () => {
  process.env[variable] = secret;
  requests = [];
  connections = 0;
  answer = (_, response) => response.writeHead(204).end();
  server = createServer(async (request, response) => {
    const body = (await request.setEncoding("utf8").toArray()).join("");
    requests.push({ request, body });
    answer(request, response);
  });
  server.on("connection", () => connections++).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?x=1`;
});

afterEach(() => {
  delete process.env[variable];
  server.closeAllConnections();
  server.close();
});

const task = (id = "job-1") => ({ id, signal: new AbortController().signal });
const event = () => ({ url, event: "invoice.paid", at: "2026-01-02T03:04:05Z", body: { amount: 12.5, note: "Grüezi 🎉" }, secret: variable });

test("posts the event under the job's id, with a signature that the library verifies", async () => {
  expect(await deliver(event(), task("job-17"))).toEqual({ status: 204 });

  const [{ request, body }] = requests as [(typeof requests)[0]];
  expect(request).toMatchObject({ method: "POST", url: "/hook?x=1" });
  expect(request.headers).toMatchObject({ "content-type": "application/json", "webhook-id": "job-17" });
  const verified = new Webhook(secret).verify(body, request.headers as Record<string, string>);
  expect(verified).toEqual({ type: "invoice.paid", timestamp: "2026-01-02T03:04:05Z", data: { amount: 12.5, note: "Grüezi 🎉" } });
  expect(() => new Webhook(secret).verify(`${body} `, request.headers as Record<string, string>)).toThrow();
});

test("signs each attempt with its own time, under the same id", async () => {
  answer = (_, response) => response.writeHead(503).end();
  await expect(deliver(event(), task())).rejects.toThrow("HTTP 503");
  await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000) + 5)); // the next second
  answer = (_, response) => response.writeHead(200).end("thanks");
  expect(await deliver(event(), task())).toEqual({ status: 200 });

  const [first, second] = requests.map(({ request, body }) => ({ headers: request.headers as Record<string, string>, body }));
  expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
  expect(Number(second?.headers["webhook-timestamp"])).toBeGreaterThan(Number(first?.headers["webhook-timestamp"]));
  for (const { headers, body } of [first!, second!]) new Webhook(secret).verify(body, headers);
});

test.each([408, 425, 429, 500, 502, 503, 504, 599])("leaves %i to the retry policy", async (status) => {
  answer = (_, response) => response.writeHead(status).end();
  const error: unknown = await deliver(event(), task()).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ message: `HTTP ${status}` });
  expect(error).not.toHaveProperty("code");
});

test.each([
  [400, "HTTP 400"],
  [401, "HTTP 401"],
  [404, "HTTP 404"],
  [410, "HTTP 410"],
  [422, "HTTP 422"],
  [304, "HTTP 304: redirects are not followed"],
])("gives up for good on %i", async (status, message) => {
  answer = (_, response) => response.writeHead(status).end();
  await expect(deliver(event(), task())).rejects.toMatchObject({ code: "DEAD_LETTER", message });
});

test.each([301, 302, 303, 307, 308])("does not follow a redirect (%i)", async (status) => {
  answer = (_, response) => response.writeHead(status, { location: "/elsewhere" }).end();
  await expect(deliver(event(), task())).rejects.toMatchObject({ code: "DEAD_LETTER", message: `HTTP ${status}: redirects are not followed` });
  expect(requests.map(({ request }) => request.url)).toEqual(["/hook?x=1"]);
});

test.each([429, 503, 500])("waits as Retry-After asks, in seconds (%i)", async (status) => {
  answer = (_, response) => response.writeHead(status, { "retry-after": "120" }).end();
  await expect(deliver(event(), task())).rejects.toMatchObject({ code: "RETRY_LATER", delay: 120_000, message: `HTTP ${status}` });
});

test("waits as Retry-After asks, until a date", async () => {
  answer = (_, response) => response.writeHead(503, { "retry-after": new Date(Date.now() + 90_000).toUTCString() }).end();
  const error = (await deliver(event(), task()).catch((error: unknown) => error)) as { code: string; delay: number };
  expect(error.code).toBe("RETRY_LATER");
  expect(error.delay).toBeGreaterThan(80_000);
  expect(error.delay).toBeLessThanOrEqual(90_000);
});

test("does not let a receiver put an event off for ever", async () => {
  answer = (_, response) => response.writeHead(429, { "retry-after": "99999999999999999999" }).end();
  await expect(deliver(event(), task())).rejects.toMatchObject({ code: "RETRY_LATER", delay: 3_600_000 });
});

test.each([
  ["0", 0],
  ["7", 7000],
  [" 7 ", 7000],
  ["-5", 0],
  ["1.5", 0],
  ["soon", 0],
  ["", 0],
  [null, 0],
  ["Thu, 01 Jan 1970 00:01:00 GMT", 50_000],
  ["Thursday, 01-Jan-70 00:01:00 GMT", 50_000],
  ["1970-01-01T00:01:00Z", 0],
  ["Thu, 01 Jan 1970 00:00:05 GMT", 0],
  ["Thu, nonsense", 0],
])("reads Retry-After %j", (header, ms) => {
  expect(retryAfterMs(header, 10_000)).toBe(ms);
});

test("reads any Retry-After as a wait that is a number and never negative", () => {
  fc.assert(fc.property(fc.string(), (header) => retryAfterMs(header, Date.now()) >= 0));
});

test("reads the answer to its end, so that the connection serves the next event", async () => {
  answer = (_, response) => response.writeHead(200).end("x".repeat(30_000));
  for (let i = 0; i < 10; i++) await deliver(event(), task(`job-${i}`));
  expect(requests).toHaveLength(10);
  expect(connections).toBeLessThanOrEqual(2); // fetch opens one ahead
});

test("does not read an endless answer to its end", async () => {
  let closed: Promise<unknown> | undefined;
  answer = (_, response) => {
    response.writeHead(200);
    closed = once(response, "close");
    (function more() {
      if (response.writable && !response.destroyed) response.write(Buffer.alloc(16_384), () => setImmediate(more));
    })();
  };
  expect(await deliver(event(), task())).toEqual({ status: 200 });
  await closed;
});

test("takes the status for the answer when the body breaks off", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
  };
  expect(await deliver(event(), task())).toEqual({ status: 200 });
});

test("says why there was no answer, and leaves it to the retry policy", async () => {
  answer = (request) => (request.socket as Socket).destroy();
  const reset: unknown = await deliver(event(), task()).catch((error: unknown) => error);
  expect(reset).toMatchObject({ message: expect.stringContaining("no answer: ") });
  expect(reset).not.toHaveProperty("code");

  server.close();
  server.closeAllConnections();
  await once(server, "close");
  await expect(deliver(event(), task())).rejects.toThrow(/no answer: .*ECONNREFUSED/);
  await expect(deliver({ ...event(), url: "http://nowhere.invalid/" }, task())).rejects.toThrow(/no answer: .*(ENOTFOUND|EAI_AGAIN)/);
});

test("ends with its task", async () => {
  const controller = new AbortController();
  const reason = new Error("the task's time is up");
  answer = () => controller.abort(reason); // never answers
  await expect(deliver(event(), { id: "job", signal: controller.signal })).rejects.toBe(reason);
});

test("says which secret is missing or not of its form, without showing it", async () => {
  delete process.env[variable];
  await expect(deliver(event(), task())).rejects.toThrow(`environment variable ${variable}, which is not set`);
  process.env[variable] = "whsec_not*base64*at*all";
  const error = (await deliver(event(), task()).catch((error: unknown) => error)) as Error;
  expect(error.message).toContain(`expected base64 in the environment variable ${variable}`);
  expect(`${error.message} ${String(error.cause)}`).not.toContain("not*base64");
  expect(requests).toHaveLength(0);
});

test("delivers through a pool what was put: after a refusal again, under the same id, and the secret is never in Redis", async () => {
  const prefix = freshPrefix();
  await using app = connect({ redis: redisUrl(), prefix, log: createLog({ level: "silent" }) });
  await using _ = app.pool([webhookHandler]);
  answer = (_, response) => {
    if (requests.length === 1) response.writeHead(429, { "retry-after": "1" }).end();
    else response.writeHead(201).end();
  };

  const handle = await app.put(webhook, { ...event(), url });

  expect(await handle.result({ timeout: "20s" })).toEqual({ status: 201 });
  expect(requests.map(({ request }) => request.headers["webhook-id"])).toEqual([handle.id, handle.id]);
  const client = redisClient();
  for (const key of await client.keys(`${prefix}:*`)) {
    const kept = (await client.type(key)) === "hash" ? JSON.stringify(await client.hgetall(key)) : "";
    expect(kept).not.toContain(secret.slice("whsec_".length));
  }
});

test("makes a dead letter of what the receiver refuses for good", async () => {
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix(), log: createLog({ level: "silent" }) });
  await using _ = app.pool([webhookHandler]);
  answer = (_, response) => response.writeHead(410).end();
  const handle = await app.put(webhook, { ...event(), url });
  expect(await handle.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { message: "HTTP 410", attempts: 1 } });
});

test.each([
  [{ url: "ftp://a.ch/" }, "url"],
  [{ url: "nowhere" }, "url"],
  [{ url: "https://user:password@a.ch/" }, "user and password"],
  [{ secret: "DATABASE_URL" }, "WEBHOOK_SECRET"],
  [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }, "WEBHOOK_SECRET"],
  [{ event: "" }, "event"],
  [{ at: "yesterday" }, "at"],
])("refuses to put %j", async (wrong, message) => {
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix(), log: createLog({ level: "silent" }) });
  await expect(app.put(webhook, { ...event(), ...wrong })).rejects.toMatchObject({ code: "PAYLOAD_INVALID", message: expect.stringContaining(message) });
});
