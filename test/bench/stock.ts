/** The reference: BullMQ's own `Queue` and `Worker`, as its documentation sets them up. */
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { type OpenSubject, type Payload, settings } from "./subject.ts";

/** Larger chunks gain nothing: the script blocks Redis, and the reply grows. */
const CHUNK = 1000;

export const openStock: OpenSubject = (redisUrl, queueName) => {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue<Payload>(queueName, {
    connection,
    defaultJobOptions: {
      attempts: settings.attempts,
      backoff: { type: "exponential", delay: settings.backoffBaseMs, jitter: 1 },
      removeOnComplete: { count: settings.keepCompleted },
      removeOnFail: { count: settings.keepFailed },
    },
  });
  let worker: Worker<Payload> | undefined;
  return {
    put: (data) => queue.add("job", data),
    async putMany(payloads) {
      let chunk: { name: string; data: Payload }[] = [];
      for (const data of payloads) {
        if (chunk.push({ name: "job", data }) < CHUNK) continue;
        await queue.addBulk(chunk);
        chunk = [];
      }
      await queue.addBulk(chunk);
    },
    async consume(slots, called) {
      worker = new Worker<Payload>(queueName, async (job) => called(job.data), {
        connection,
        concurrency: slots,
        lockDuration: settings.leaseMs,
      });
      await worker.waitUntilReady();
    },
    async close() {
      await worker?.close();
      await queue.close();
      connection.disconnect();
    },
  };
};
