/** The article's second program: two functions in one `gather`. They wait at the same time: 2 s in all, not 3. */
import { gather, run, sleep } from "millrace/concurrency";

async function task1(signal: AbortSignal): Promise<void> {
  console.log("task 1 starting");
  await sleep("2s", { signal });
  console.log("task 1 completed");
}

async function task2(signal: AbortSignal): Promise<void> {
  console.log("task 2 starting");
  await sleep("1s", { signal });
  console.log("task 2 completed");
}

await run(() => gather([task1, task2]));
