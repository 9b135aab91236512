/** A worker process that never finishes anything, to be killed by a test. Prints a line for each run that it starts. */
import { connect, defineHandler, defineJob, defineQueue, typed, type PoolOptions } from "../../src/index.ts";

const { REDIS_URL = "", PREFIX = "", BY_HAND, OPTIONS = "{}", PARTITIONS } = process.env;
const app = connect({ redis: REDIS_URL, prefix: PREFIX });
const job = defineJob("work", { queue: defineQueue("work", PARTITIONS === undefined ? {} : { partitions: Number(PARTITIONS) }), payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });
const say = (id: string, attempt: number): void => console.log(JSON.stringify({ id, attempt }));

if (BY_HAND === undefined) {
  const handler = defineHandler(job, { handle: (_, { id, attempt }) => (say(id, attempt), new Promise<void>(() => {})) });
  app.pool([handler], { concurrency: 300, ...(JSON.parse(OPTIONS) as PoolOptions) });
} else {
  for await (const delivery of app.queue(job).deliveries({ concurrency: 300 })) say(delivery.task.id, delivery.task.attempt);
}
