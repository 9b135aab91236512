/** The article's sixth program: a long task under `waitFor`, whose timeout is caught and said. */
import { TimeoutError } from "millrace";
import { run, sleep, waitFor } from "millrace/concurrency";

async function longTask(signal: AbortSignal): Promise<void> {
  await sleep("10s", { signal });
  console.log("The task completed");
}

await run(async () => {
  try {
    await waitFor(longTask, "5s");
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log("The task took too long");
  }
});
