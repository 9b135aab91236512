/** The worker of Millrace whose start is measured: `millrace worker start` runs it. */
import { defineHandler } from "millrace";
import { defineJob, typed } from "millrace/job";
import { nowUs, type Payload } from "../subject.ts";

export default defineHandler(defineJob("job", { queue: "bench-0", payload: typed<Payload>() }), {
  concurrency: 100,
  async handle() {
    console.log(nowUs());
  },
});
