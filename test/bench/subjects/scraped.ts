/** Millrace with its metrics on, as behind `worker start --health`: every event is made and counted by prom-client. */
import { openMetrics } from "../../../src/telemetry/prometheus.ts";
import type { Subject } from "../subject.ts";
import { millrace } from "./millrace.ts";

export const scraped: Subject = {
  ...millrace,
  notes: "not scraped meanwhile",
  async open(url, setting) {
    const metrics = await openMetrics({ worker: () => ({ running: 0, stuck: 0, ready: true, redis: true }), queues: async () => [] });
    const opened = await millrace.open(url, setting);
    return {
      ...opened,
      async close() {
        await opened.close();
        metrics[Symbol.dispose]();
      },
    };
  },
};
