/** bee-queue, as its documentation advises where speed matters: no events, no job objects kept. */
import BeeQueue from "bee-queue";
import { chunks, type Payload, settings, type Subject } from "../subject.ts";

export const beeQueue: Subject = {
  store: "redis",
  notes:
    "getEvents, sendEvents and storeJobs off; many jobs by saveAll, 1000 at a time; a worker that dies is noticed by stallInterval, with no lease a job and nothing kept per attempt",
  async open(url, { queues, slots, keep }) {
    const common = { redis: { url }, getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: keep === 0 };
    const made = (queue: BeeQueue<Payload>, data: Payload) => queue.createJob(data).retries(settings.attempts - 1).backoff("exponential", settings.backoffBaseMs);
    const opened = queues.map((name) => new BeeQueue<Payload>(name, { ...common, isWorker: false }));
    await Promise.all(opened.map((queue) => queue.ready()));
    let workers: BeeQueue<Payload>[] = [];
    return {
      put: (data) => made(opened[0]!, data).save(),
      async putMany(payloads) {
        for (const queue of opened) {
          for (const chunk of chunks(payloads())) {
            const errors = await queue.saveAll(chunk.map((data) => made(queue, data)));
            for (const [, error] of errors) throw error;
          }
        }
      },
      async consume(handle) {
        workers = queues.map((name) => new BeeQueue<Payload>(name, { ...common, stallInterval: settings.leaseMs, activateDelayedJobs: true }));
        for (const worker of workers) worker.process(Math.ceil(slots / queues.length), async (job: BeeQueue.Job<Payload>) => handle(job.data));
        await Promise.all(workers.map((worker) => worker.ready()));
      },
      async close() {
        await Promise.all([...workers, ...opened].map((queue) => queue.close()));
      },
    };
  },
  async count(url, queues) {
    const counts = { waiting: 0, active: 0, failed: 0 };
    for (const name of queues) {
      const queue = new BeeQueue(name, { redis: { url }, isWorker: false, getEvents: false });
      const health = await queue.checkHealth();
      counts.waiting += health.waiting + health.delayed;
      counts.active += health.active;
      counts.failed += health.failed;
      await queue.close();
    }
    return counts;
  },
};
