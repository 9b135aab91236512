/** BullMQ's own `Queue` and `Worker`, as its documentation sets them up: the reference. And the same two with our backend. */
import { type BackendFactory, createRedisBackend, Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { createMillraceBackend } from "millrace/bullmq";
import { chunks, type Opened, type Payload, type Setting, settings, type Subject } from "../subject.ts";
import { countBull } from "./bull-keys.ts";

export const stock: Subject = {
  store: "redis",
  notes: "ids counted, nothing checked; many jobs by addBulk, 1000 at a time; a Worker for each queue, which share the slots",
  open: (url, setting) => open(url, setting, createRedisBackend), // as BullMQ does by itself
  count: countBull,
};

export const dropIn: Subject = {
  store: "redis",
  notes: "BullMQ's own Queue and Worker, set up as those beside them, with one more argument",
  open: (url, setting) => open(url, setting, createMillraceBackend),
  count: countBull,
};

async function open(url: string, { queues, slots, keep }: Setting, backend: BackendFactory): Promise<Opened> {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const defaultJobOptions = {
    attempts: settings.attempts,
    backoff: { type: "exponential", delay: settings.backoffBaseMs, jitter: 1 },
    removeOnComplete: { count: keep },
    removeOnFail: { count: settings.keepFailed },
  };
  const opened = queues.map((name) => new Queue(name, { connection, defaultJobOptions }, backend));
  let workers: { close(): Promise<void>; waitUntilReady(): Promise<unknown> }[] = [];
  return {
    put: (data) => opened[0]!.add("job", data),
    async putMany(payloads) {
      for (const queue of opened) {
        for (const chunk of chunks(payloads())) await queue.addBulk(chunk.map((data) => ({ name: "job", data })));
      }
    },
    async consume(handle) {
      const concurrency = Math.ceil(slots / queues.length);
      const options = { connection, concurrency, lockDuration: settings.leaseMs };
      workers = queues.map((name) => new Worker(name, async (job) => handle(job.data as Payload), options, backend));
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all(opened.map((queue) => queue.close()));
      connection.disconnect();
    },
  };
}
