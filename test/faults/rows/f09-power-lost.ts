/** F9: the machine of Redis loses its power: the end of the append-only file was never on disk. */
import { statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { monotonicMs } from "../../support/journal.ts";
import type { OwnRedis } from "../../support/own-redis.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

/** `everysec` writes to disk at least so often. */
const WINDOW_MS = 1000;
const LOOK_MS = 20;

export const f09 = scenario({
  row: "F9",
  title: "power loss, everysec and always",
  targets: {
    lostWindowMs: { label: "everysec: acknowledged puts lost of the last", atMost: WINDOW_MS + 100 },
    lostAlways: { label: "always: acknowledged puts lost", atMost: 0 },
    idsReused: { label: "ids used again", atMost: 0 },
    unfinished: { label: "not completed", atMost: 0 },
  },
  together: 2,
  async play(stage) {
    const everysec = await powerLost(stage, "everysec");
    const always = await powerLost(stage, "always");
    const byId = new Map<string, Set<number>>();
    for (const [server, { acknowledged }] of [everysec, always].entries()) {
      for (const { n, id } of acknowledged) byId.set(`${server} ${id}`, (byId.get(`${server} ${id}`) ?? new Set()).add(n));
    }
    return {
      lostWindowMs: everysec.lostWindowMs,
      lostAlways: always.lost,
      idsReused: [...byId.values()].filter((works) => works.size > 1).length,
      unfinished: stage.unfinished().filter((n) => !stage.forgiven.has(n)).length,
    };
  },
});

async function powerLost(stage: Stage, appendfsync: "everysec" | "always") {
  const redis = await stage.redis({ appendfsync });
  const producer = await stage.producer(redis.url);
  const worker = await stage.worker(redis.url);
  const from = stage.entries().length;
  // The load numbers its works from there on.
  stage.skip(100_000);
  const loaded = producer.load(stage.works(1, "sleep", [50])[0]!, { lanes: 5, pauseMs: 10 });
  const sizes = watch(redis);
  await stage.pause(stage.between(2000, 5000));
  await redis.kill();
  const lostAt = monotonicMs();
  const seen = sizes.stop();
  // What is on disk is what was there at some moment of the window; with `always` it is all.
  const onDisk = seen.findLast(({ at }) => at <= lostAt - stage.random() * WINDOW_MS);
  if (appendfsync === "everysec" && onDisk !== undefined) truncateSync(fileOf(redis), onDisk.size);
  await redis.start();
  await stage.pause(3000);
  await Promise.race([producer.rest().then(() => loaded), stage.pause(20_000)]);
  const acknowledged = stage.entries().slice(from).filter(({ did }) => did === "acknowledged");
  const kept = new Set((await stage.stored()).map(({ id, n }) => `${id} ${n}`));
  const lost = acknowledged.filter(({ id, n }) => !kept.has(`${id} ${n}`));
  if (appendfsync === "everysec") for (const { n } of lost) stage.forgiven.add(n);
  await stage.comesTrue(() => stage.unfinished().every((n) => stage.forgiven.has(n)), 30_000);
  worker.kill("SIGTERM");
  return { acknowledged, lost: lost.length, lostWindowMs: Math.max(0, ...lost.map(({ at }) => lostAt - at)) };
}

function fileOf(redis: OwnRedis): string {
  return join(redis.dir, "appendonlydir", "appendonly.aof.1.incr.aof");
}

/** The size of the append-only file over time. */
function watch(redis: OwnRedis) {
  const seen: { readonly at: number; readonly size: number }[] = [];
  const look = setInterval(() => seen.push({ at: monotonicMs(), size: statSync(fileOf(redis)).size }), LOOK_MS);
  return { stop: () => (clearInterval(look), seen) };
}
