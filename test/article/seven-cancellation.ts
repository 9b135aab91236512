/** The article's seventh program: a task is cancelled and awaited, and its CancelledError is caught and said. */
import { CancelledError } from "millrace";
import { run, sleep, spawn } from "millrace/concurrency";

async function longTask(signal: AbortSignal): Promise<void> {
  await sleep("10s", { signal });
  console.log("The task completed");
}

await run(async (signal) => {
  const task = spawn(longTask);
  await sleep("1s", { signal });
  task.cancel();
  try {
    await task;
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
    console.log("Task was cancelled");
  }
});
