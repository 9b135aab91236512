/** The reference: BullMQ's own Queue and Worker as its documentation sets them up for production. */
import { fileURLToPath } from "node:url";
import { Job, Queue, QueueEvents, Worker, type ConnectionOptions } from "bullmq";
import { Cluster } from "ioredis";
import type { Subject } from "./subject.ts";
import { nameOf } from "./work.ts";

/** As it is given where Redis is: on a cluster its documentation asks for a hash tag. */
export function stockConnection(url: string): { readonly connection: ConnectionOptions; readonly prefix?: string } {
  const [, kind, places = "", name = ""] = /^redis\+(sentinel|cluster):\/\/([^/]+)(?:\/(.+))?$/.exec(url) ?? [];
  const nodes = places.split(",").map((place) => ({ host: place.split(":")[0] ?? "", port: Number(place.split(":")[1]) }));
  if (kind === "sentinel") return { connection: { sentinels: nodes, name, maxRetriesPerRequest: null } };
  if (kind === "cluster") return { connection: new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } }), prefix: "{bull}" };
  return { connection: { url, maxRetriesPerRequest: null } };
}

const worker = fileURLToPath(new URL("bullmq-worker.ts", import.meta.url));

export const bullmq: Subject = {
  name: "bullmq",
  workerArguments: ({ concurrency }) => ({ argv: [worker], env: { FAULTS_CONCURRENCY: String(concurrency) } }),
  async open(redisUrl) {
    const queue = new Queue("work", { ...stockConnection(redisUrl), defaultJobOptions: { attempts: 3 } });
    queue.on("error", () => undefined);
    let listener: QueueEvents | undefined;
    const events = (): QueueEvents => {
      listener ??= new QueueEvents("work", stockConnection(redisUrl)).setMaxListeners(0);
      listener.on("error", () => undefined);
      return listener;
    };
    const found = async (id: string): Promise<Job> => {
      const job = await Job.fromId(queue, id);
      if (job === undefined) throw new Error("no such job");
      return job;
    };
    return {
      put: async (payload, { delayMs, attempts, named }) => {
        const { id } = await queue.add("work", payload, { ...(delayMs !== undefined && { delay: delayMs }), ...(attempts !== undefined && { attempts }), ...(named && { jobId: nameOf(payload) }) });
        return id ?? "";
      },
      putMany: async (payloads) => void (await queue.addBulk(payloads.map((data) => ({ name: "work", data })))),
      // Nothing of it reaches a job that runs elsewhere; removing is what it offers for all others.
      cancel: async (id) => (await found(id)).remove(),
      async outcome(id) {
        const job = await found(id);
        await job.waitUntilFinished(events()).catch((error: Error) => error);
        return job.getState();
      },
      // It has none: looks again whenever its events tell of a change.
      async join() {
        const isOver = async (): Promise<boolean> => Object.values(await queue.getJobCounts("waiting", "active", "delayed", "prioritized")).every((count) => count === 0);
        while (!(await isOver())) {
          await new Promise<void>((resolve) => {
            for (const event of ["completed", "failed", "removed"] as const) events().once(event, () => resolve());
          });
        }
      },
      reach: () => queue.getJobCounts("active"),
    };
  },
  async openHere(redisUrl, name) {
    const queue = new Queue(name, { connection: { url: redisUrl } });
    let runner: Worker | undefined;
    return {
      put: async (payload, options) => {
        const { id: jobId, ...others } = options as { readonly id?: string };
        return (await queue.add("work", payload, typeof options === "object" ? { ...others, ...(jobId !== undefined && { jobId }) } : options)).id ?? "";
      },
      async run(handle) {
        runner = new Worker(name, async (job, _token, signal) => handle(job.data, { id: job.id ?? "", signal }), { connection: { url: redisUrl, maxRetriesPerRequest: null } });
        runner.on("error", () => undefined);
        await runner.waitUntilReady();
      },
      hasEnded: async (id) => ["completed", "failed"].includes(await queue.getJobState(id)),
      close: async () => {
        await runner?.close(true);
        await queue.close();
      },
    };
  },
};
