/** The subject: Millrace by its public face. */
import { connect, defineHandler, type Pool } from "millrace";
import { defineJob, typed } from "millrace/job";
import { type OpenSubject, type Payload, settings } from "./subject.ts";

export const openMillrace: OpenSubject = (redisUrl, queueName) => {
  const app = connect({ redis: redisUrl });
  const job = defineJob("job", {
    queue: queueName,
    payload: typed<Payload>(),
    attempts: settings.attempts,
    backoff: { type: "exponential", base: settings.backoffBaseMs, jitter: 1 },
    keep: { completed: { count: settings.keepCompleted }, failed: { count: settings.keepFailed } },
  });
  const queue = app.queue(job);
  let pool: Pool | undefined;
  return {
    put: (payload) => queue.put(payload),
    putMany: (payloads) => queue.putMany(payloads),
    async consume(slots, called) {
      const handler = defineHandler(job, { handle: async (payload) => called(payload) });
      pool = app.pool([handler], { concurrency: slots, lease: settings.leaseMs });
    },
    async close() {
      await pool?.stop();
      await app[Symbol.asyncDispose]();
    },
  };
};
