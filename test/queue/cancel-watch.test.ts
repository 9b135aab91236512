import { expect, onTestFinished, test } from "vitest";
import { CancelWatch } from "../../src/queue/cancel-watch.ts";
import { requestCancel } from "../../src/store/cancel.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { recordedLog, until } from "../support/app.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { consumerOf, newJob, openQueue, putAll } from "../store/opened-queue.ts";

/** A watch over what is added to `running`; `told` fills as it tells. */
async function watched(queue: StoredQueue) {
  const running = new Set<{ readonly id: string }>();
  const told: string[] = [];
  const log = recordedLog();
  const watch = new CancelWatch(queue, running, ({ id }, reason) => void told.push(`${id}: ${reason}`), log);
  const stopped = new AbortController();
  onTestFinished(() => stopped.abort());
  watch.listen(stopped.signal);
  const begin = (id: string): void => {
    const task = { id };
    running.add(task);
    watch.begun(task);
  };
  const ask = async (id: string): Promise<void> => expect(await requestCancel(queue, id, { reason: "asked", token: "t", leaseMs: 1000 })).toEqual({ state: "requested" });
  return { running, told, log, begin, ask };
}

async function leased(queue: StoredQueue, ...ids: string[]): Promise<void> {
  await putAll(queue, ids.map((id) => newJob(id)));
  await consumerOf(queue).reserver.take(ids.length);
}

const listens = (queue: StoredQueue) => until(() => queue.connections.subscriber.hears(`${queue.keys.base}millrace:cancel`));

test("tells what runs here, and nobody else", async () => {
  const queue = await openQueue();
  await leased(queue, "a", "b", "elsewhere");
  const { told, begin, ask } = await watched(queue);
  begin("a");
  begin("b");
  await listens(queue);
  await Promise.all(["elsewhere", "b"].map(ask));
  await until(() => told.length > 0);
  expect(told).toEqual(["b: asked"]);
});

test("tells what begins here after it was named, and only where the request still stands", async () => {
  const queue = await openQueue();
  await leased(queue, "a", "b");
  const { told, begin, ask } = await watched(queue);
  await listens(queue);
  const heard = redisClient();
  await heard.subscribe(`${queue.keys.base}millrace:cancel`);
  const both = new Promise<void>((resolve) => heard.on("message", (_, id) => id === "a" && resolve()));
  await ask("b");
  await ask("a");
  await both;
  await queue.client.hdel(`${queue.keys.base}b`, "mc");
  await queue.client.ping();
  begin("b");
  begin("a");
  await until(() => told.length > 0);
  expect(told).toEqual(["a: asked"]);
});

test("looks at all that runs when it listens again", async () => {
  const { url } = await startRedis();
  const queue = await openQueue({ url });
  await leased(queue, "a", "b");
  const { told, begin } = await watched(queue);
  begin("a");
  begin("b");
  await listens(queue);
  await queue.client.hset(`${queue.keys.base}b`, "mc", "unheard");
  await redisClient(url).call("CLIENT", "KILL", "TYPE", "pubsub");
  await until(() => told.length > 0);
  expect(told).toEqual(["b: unheard"]);
});

test("says so where it may not listen, and looks now and then", async () => {
  const { url, port } = await startRedis();
  await redisClient(url).call("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "-subscribe");
  const queue = await openQueue({ url: `redis://deaf:secret@127.0.0.1:${port}` });
  await leased(queue, "a");
  const { log, told, begin, ask } = await watched(queue);
  begin("a");
  await ask("a");
  await until(() => told.length > 0);
  expect(log.lines[0]).toMatchObject({ level: "warn", message: expect.stringMatching(/^cannot listen for cancelled jobs/) });
});
