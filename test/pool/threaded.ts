/** A handler that runs in threads, and does what its payload says. */
import { threadId } from "node:worker_threads";
import { currentTask } from "../../src/concurrency/task.ts";
import { DeadLetter, RetryLater } from "../../src/errors.ts";
import { defineJob, typed } from "../../src/job/index.ts";
import { defineHandler } from "../../src/job/handler.ts";

export interface Order {
  readonly does: "tell" | "spin" | "look" | "listen" | "fail" | "retry" | "give up" | "exit" | "function" | "log" | "progress" | "wrong progress" | "assert lease" | "together" | "hoard" | "throw later";
  readonly ms?: number;
}

export const threadedJob = defineJob("threaded", { payload: typed<Order>(), result: typed<unknown>(), progress: typed<number>(), attempts: 1, backoff: { type: "fixed", base: 0 } });

export default defineHandler(threadedJob, {
  threads: { module: import.meta.url, count: 2 },
  async handle({ does, ms = 0 }, task) {
    switch (does) {
      case "tell": {
        const { id, name, attempt, fence, deadline, scheduledAt, signal } = task;
        return { thread: threadId, task: currentTask()?.name, id, name, attempt, fence, deadline: deadline?.getTime(), scheduledAt, aborted: signal.aborted };
      }
      case "spin": // never looks at anything
        return spin(ms);
      case "look": {
        task.log.info("looking");
        while (!task.signal.aborted);
        throw task.signal.reason;
      }
      case "listen":
        task.log.info("listening");
        await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
        task.log.info(`told: ${(task.signal.reason as Error).name}`);
        throw task.signal.reason;
      case "fail":
        throw new RangeError(`attempt ${task.attempt}`);
      case "retry":
        if (task.attempt === 1) throw new RetryLater(1);
        return task.attempt;
      case "give up":
        throw new DeadLetter("for good");
      case "exit":
        return process.exit(3);
      case "hoard":
        for (const held = []; ; held.push(Array.from({ length: 10_000 }, () => held.length)));
      case "throw later":
        setTimeout(() => {
          throw new RangeError("nobody caught this");
        });
        return new Promise(() => setInterval(() => undefined, 1000));
      case "function":
        return () => 1;
      case "log":
        task.log.warn("a line", { bytes: 3, err: new TypeError("inside") });
        task.log.info("not to be copied", { callback: () => 1, n: 2 });
        task.log.debug("last");
        return null;
      case "progress":
        await task.progress(50);
        await task.progress(100);
        return null;
      case "assert lease":
        await task.assertLease();
        await task.progress(1);
        while (!task.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          await task.assertLease().catch((error: { readonly code: string }) => task.log.info(error.code, { aborted: task.signal.aborted }));
        }
        return undefined;
      case "wrong progress":
        return task.progress((() => 1) as never).catch((error: Error) => error.name);
      case "together":
        task.log.info("begins");
        spin(ms);
        return threadId;
    }
  },
});

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
