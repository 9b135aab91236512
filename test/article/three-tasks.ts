/** The article's third program: two tasks are created first and awaited afterwards, so that they overlap. */
import { run, sleep, spawn } from "millrace/concurrency";

async function work(name: string, seconds: number, signal: AbortSignal): Promise<void> {
  console.log(`${name} starting`);
  await sleep(`${seconds}s`, { signal });
  console.log(`${name} completed`);
}

await run(async () => {
  const task1 = spawn((signal) => work("task 1", 2, signal));
  const task2 = spawn((signal) => work("task 2", 1, signal));
  await task1;
  await task2;
});
