/** F19: outcomes and joins are waited for while workers die, Redis restarts, connections go silent and a primary fails over. */
import { Redis, type RedisOptions } from "ioredis";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import { waited, type Waited } from "../waits.ts";

export const f19 = scenario({
  row: "F19",
  title: "waiting for results and joins during F1, F8, F12, F16, removal, event trim",
  targets: {
    hanging: { label: "waits that never end", atMost: 0 },
    lateMs: { label: "settled after the truth, where it can be reached, by", atMost: 1000 },
    outOfReachMs: { label: "who waits reaches Redis again within", atMost: 20_000 },
    untrue: { label: "outcomes and joins that are not true", atMost: 0 },
  },
  together: 3,
  async play(stage) {
    const waits = [...(await onOneServer(stage)), await duringFailOver(stage)];
    return {
      hanging: waits.reduce((sum, { hanging }) => sum + hanging, 0),
      lateMs: Math.max(...waits.map(({ lateMs }) => lateMs)),
      outOfReachMs: Math.max(...waits.map(({ outOfReachMs }) => outOfReachMs)),
      untrue: waits.reduce((sum, { untrue }) => sum + untrue, 0),
    };
  },
});

async function onOneServer(stage: Stage): Promise<readonly Waited[]> {
  const redis = await stage.redis();
  const [toWaiter, toWorkers] = [await stage.proxy(redis), await stage.proxy(redis)];
  const client = connected({ port: redis.port });
  const waiting = { producer: await stage.producer(redis.url), waiter: await stage.producer(toWaiter.url), client };
  const doomed = await stage.worker(toWorkers.url, { concurrency: 20 });
  const killed = await waited(stage, waiting, async () => {
    await stage.worker(toWorkers.url, { concurrency: 20 });
    doomed.kill("SIGKILL");
    await stage.pause(stage.between(0, 3000));
  });
  const restarted = await waited(stage, waiting, async () => {
    await redis.kill();
    await stage.pause(stage.between(0, 2000));
    await redis.start();
  });
  const silenced = await waited(stage, waiting, async () => {
    for (const proxy of [toWaiter, toWorkers]) proxy.silence();
    await stage.pause(stage.between(0, 3000));
  });
  client.disconnect();
  return [killed, restarted, silenced];
}

async function duringFailOver(stage: Stage): Promise<Waited> {
  const sentinels = await stage.sentinels();
  const client = connected({ sentinels: sentinels.ports.map((port) => ({ host: "127.0.0.1", port })), name: sentinels.name });
  const waiting = { producer: await stage.producer(sentinels.url), waiter: await stage.producer(sentinels.url), client };
  await stage.worker(sentinels.url, { concurrency: 20 });
  const primary = await sentinels.primary();
  const failedOver = await waited(stage, waiting, async () => {
    await (stage.random() < 0.5 ? primary.stop() : primary.kill());
    await stage.until(async () => (await sentinels.primary()) !== primary);
  });
  client.disconnect();
  return failedOver;
}

/** Is back as soon as the server is. */
function connected(place: RedisOptions): Redis {
  const soon = (): number => 50;
  const client = new Redis({ ...(place as RedisOptions & { replyMapping?: "legacy" }), maxRetriesPerRequest: null, commandTimeout: 500, retryStrategy: soon, sentinelRetryStrategy: soon });
  client.on("error", () => undefined);
  return client;
}
