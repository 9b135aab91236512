/** A worker whose start is measured, as a user has it: `millrace worker start worker.ts` runs it. */
import { defineHandler } from "millrace";
import { defineJob, typed } from "millrace/job";

export default defineHandler(defineJob("job", { queue: "bench-0", payload: typed<object>() }), {
  concurrency: 100,
  async handle() {
    console.log(`${process.hrtime.bigint()} ${process.cpuUsage().user + process.cpuUsage().system}`);
  },
});
