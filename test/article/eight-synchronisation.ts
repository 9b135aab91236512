/**
 * The article's eighth program: a shared resource under a lock, which is released however the body ends. Beside it the
 * article's other two: an event that lets the tasks begin, and a semaphore that lets two of them in at once.
 */
import { Event, gather, Lock, run, Semaphore, sleep } from "millrace/concurrency";

const opened = new Event();
const places = new Semaphore(2);
const lock = new Lock();
let inside = 0;

const enter = (name: string) => async (signal: AbortSignal): Promise<void> => {
  await opened.wait({ signal });
  using _ = await places.acquire({ signal });
  await access(name, signal);
};

async function access(name: string, signal: AbortSignal): Promise<void> {
  using _ = await lock.acquire({ signal });
  inside += 1;
  console.log(`${name} has the resource, ${inside} inside`);
  await sleep("100ms", { signal });
  inside -= 1;
  if (name === "task 2") throw new Error("task 2 failed with the resource");
  console.log(`${name} gives it back`);
}

await run(async () => {
  const all = gather([enter("task 1"), enter("task 2"), enter("task 3")], { errors: "collect" });
  console.log(`the lock is ${lock.locked ? "held" : "free"}`);
  opened.set();
  for (const end of await all) if (end.status === "rejected") console.log(end.reason.message);
  console.log(`the lock is ${lock.locked ? "held" : "free"}`);
});
