/** The reference: BullMQ's own Queue and Worker as its documentation sets them up for production. */
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import type { Subject } from "./subject.ts";

const worker = fileURLToPath(new URL("bullmq-worker.ts", import.meta.url));

export const bullmq: Subject = {
  name: "bullmq",
  workerArguments: ({ concurrency }) => ({ argv: [worker], env: { FAULTS_CONCURRENCY: String(concurrency) } }),
  async open(redisUrl) {
    const queue = new Queue("work", { connection: { url: redisUrl }, defaultJobOptions: { attempts: 3 } });
    queue.on("error", () => undefined);
    return {
      put: async (payload, { delayMs, attempts }) => {
        const { id } = await queue.add("work", payload, { ...(delayMs !== undefined && { delay: delayMs }), ...(attempts !== undefined && { attempts }) });
        return id ?? "";
      },
      putMany: async (payloads) => void (await queue.addBulk(payloads.map((data) => ({ name: "work", data })))),
    };
  },
};
