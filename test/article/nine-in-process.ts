/** The article's ninth program: three producers, one queue, two consumers; join, then cancel the consumers. */
import { gather, Queue, range, run, sleep, spawn } from "millrace/concurrency";

async function produce(queue: Queue<number>, signal: AbortSignal): Promise<void> {
  for (const item of range(5)) {
    await sleep("100ms", { signal });
    await queue.put(item, { signal });
  }
}

async function consume(queue: Queue<number>, signal: AbortSignal): Promise<void> {
  for (;;) {
    const item = await queue.get({ signal });
    console.log("Consumed", item);
    queue.taskDone();
  }
}

await run(async () => {
  const queue = new Queue<number>();
  const consumers = range(2).map(() => spawn((signal) => consume(queue, signal)));
  await gather(range(3).map(() => (signal: AbortSignal) => produce(queue, signal)));
  await queue.join();
  for (const consumer of consumers) consumer.cancel();
});
