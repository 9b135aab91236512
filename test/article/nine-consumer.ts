/** The ninth program over Redis: one of its two consumers. It gets, prints and acknowledges until it is cancelled (SIGTERM). */
import { connect } from "millrace";
import { run } from "millrace/concurrency";
import { numbers } from "./nine-numbers.ts";

await run(async (signal) => {
  await using app = connect({ prefix: process.argv[2] ?? "bull" });
  await app.ready();
  console.error("ready");
  for await (const delivery of app.queue(numbers).deliveries({ signal })) {
    await using _ = delivery; // given back, should the body throw
    console.log("Consumed", delivery.payload);
    await delivery.ack();
  }
});
