/** The ninth program over Redis: one of its three producers. An item is in Redis when `put` resolves. REDIS_URL says where. */
import { connect } from "millrace";
import { range, run, sleep } from "millrace/concurrency";
import { numbers } from "./nine-numbers.ts";

await run(async (signal) => {
  await using app = connect({ prefix: process.argv[2] ?? "bull" });
  const queue = app.queue(numbers);
  for (const item of range(5)) {
    await sleep("100ms", { signal });
    await queue.put(item, { signal });
  }
});
