/** The subject: Millrace, its workers run by its own command. */
import { fileURLToPath } from "node:url";
import { connect, defineHandler, type JobTask } from "millrace";
import { defineJob, typed } from "millrace/job";
import { createLog } from "../../src/log.ts";
import type { Subject } from "./subject.ts";
import { nameOf, type Done, type Work } from "./work.ts";

const { FAULTS_KEEPS = "10000000" } = process.env;
const kept = { count: Number(FAULTS_KEEPS) };
const retention = FAULTS_KEEPS === "default" ? {} : { result: typed<Done>(), keep: { completed: kept, failed: kept } };

/** No back-off, so that a second run shows how soon a lost one was noticed. */
export const work = defineJob("work", { payload: typed<Work>(), attempts: 3, backoff: { type: "fixed", base: 0 }, ...retention });

const command = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const handler = fileURLToPath(new URL("millrace-worker.ts", import.meta.url));

export const millrace: Subject = {
  name: "millrace",
  workerArguments: ({ concurrency, drainMs, graceMs, fast = false }) => ({
    argv: [command, "worker", "start", handler, "--json", "--concurrency", String(concurrency), ...(fast ? ["--recovery", "fast"] : [])],
    env: { ...(drainMs !== undefined && { MILLRACE_DRAIN: String(drainMs) }), ...(graceMs !== undefined && { MILLRACE_GRACE: String(graceMs) }) },
  }),
  async open(redisUrl) {
    const app = connect({ redis: redisUrl });
    const queue = app.queue(work);
    return {
      put: async (payload, { delayMs, named, ...settings }) =>
        (await queue.put(payload, { ...settings, ...(delayMs !== undefined && { delay: delayMs }), ...(named && { id: nameOf(payload) }) })).id,
      putMany: async (payloads) => void (await queue.putMany(payloads)),
      cancel: async (id) => void (await queue.cancel(id, "by the suite")),
      outcome: async (id) => (await queue.job(id).outcome()).state,
      join: () => queue.join(),
      reach: () => queue.counts(),
    };
  },
  async openHere(redisUrl, name) {
    const app = connect({ redis: redisUrl, log: createLog({ level: "silent" }) });
    const job = defineJob("work", { queue: name, payload: typed<unknown>(), result: typed<unknown>(), backoff: { type: "fixed", base: 0 } });
    const queue = app.queue(job);
    return {
      put: async (payload, options) => (await queue.put(payload, options)).id,
      run: async (handle) => void app.pool([defineHandler(job, { handle: ((payload, { id, signal }) => handle(payload, { id, signal })) as (payload: unknown, task: JobTask) => Promise<unknown> })]),
      hasEnded: async (id) => ["completed", "failed", "cancelled"].includes(await queue.job(id).state()),
      close: () => app[Symbol.asyncDispose](),
    };
  },
};
