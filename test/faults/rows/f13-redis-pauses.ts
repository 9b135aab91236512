/** F13: Redis stands still for longer than any lease lasts, while jobs end and go on. */
import { Redis } from "ioredis";
import type { OwnRedis } from "../../support/own-redis.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

const PAUSE_MS = 45_000;
const JOBS = 10;

export const f13 = scenario({
  row: "F13",
  title: "Redis paused 45 s",
  targets: {
    reruns: { label: "run again", atMost: 0 },
    unfinished: { label: "not completed", atMost: 0 },
  },
  together: 5,
  async play(stage) {
    const redis = await stage.redis({ "enable-debug-command": "local" });
    const producer = await stage.producer(redis.url);
    await stage.worker(redis.url);
    // Half of them end during the pause, the others after it.
    const works = [...stage.works(JOBS / 2, "sleep", () => [stage.between(5000, 40_000)]), ...stage.works(JOBS / 2, "sleep", () => [stage.between(55_000, 60_000)])];
    await producer.put(works);
    await stage.until(() => stage.did("started").length === JOBS);
    await stage.worker(redis.url);
    await stage.pause(stage.between(0, 3000));
    await (stage.random() < 0.5 ? stopped(stage, redis) : asleep(redis));
    const isCompleted = async (): Promise<boolean> => (await stage.stored()).every(({ states }) => states.includes("completed") || states.includes("failed"));
    await stage.comesTrue(isCompleted);
    const completed = (await stage.stored()).filter(({ states }) => states.includes("completed")).length;
    return { reruns: stage.did("started").length - JOBS, unfinished: JOBS - completed };
  },
});

/** As by a machine that stands still. */
async function stopped(stage: Stage, redis: OwnRedis): Promise<void> {
  redis.pause();
  await stage.pause(PAUSE_MS);
  redis.resume();
}

/** As by a command that takes long. */
async function asleep({ url }: OwnRedis): Promise<void> {
  const client = new Redis(url);
  await client.call("DEBUG", "SLEEP", PAUSE_MS / 1000);
  client.disconnect();
}
