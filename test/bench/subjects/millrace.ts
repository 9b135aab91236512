/** Millrace by its public face. */
import { connect, defineHandler, type Pool } from "millrace";
import { defineJob, typed } from "millrace/job";
import { z } from "zod";
import { type Payload, settings, type Subject } from "../subject.ts";
import { countBull } from "./bull-keys.ts";

const schema = z.object({ putAtUs: z.number(), to: z.email(), body: z.string() });

export const millrace: Subject = {
  store: "redis",
  notes: "as users get it, telemetry and log lines at their defaults; ids of its own; each payload is checked for what JSON cannot carry",
  async open(url, { queues, slots, keep, schema: checked }) {
    const app = connect({ redis: url });
    const jobs = queues.map((queue) =>
      defineJob("job", {
        queue,
        payload: checked ? schema : typed<Payload>(),
        attempts: settings.attempts,
        backoff: { type: "exponential", base: settings.backoffBaseMs, jitter: 1 },
        keep: { completed: { count: keep }, failed: { count: settings.keepFailed } },
      }),
    );
    const opened = jobs.map((job) => app.queue(job));
    let pool: Pool | undefined;
    return {
      put: (payload) => opened[0]!.put(payload),
      putMany: (payloads) => Promise.all(opened.map((queue) => queue.putMany(payloads()))),
      async consume(handle) {
        const handlers = jobs.map((job) => defineHandler(job, { handle: async (payload) => handle(payload) }));
        pool = app.pool(handlers, { concurrency: slots, lease: settings.leaseMs });
      },
      async close() {
        await pool?.stop();
        await app[Symbol.asyncDispose]();
      },
    };
  },
  count: countBull,
};
