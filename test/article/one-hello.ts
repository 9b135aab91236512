/** The article's first program: one function that waits, started by `run`. */
import { run, sleep } from "millrace/concurrency";

await run(async (signal) => {
  console.log("Hello");
  await sleep("1s", { signal });
  console.log("World");
});
