/** A handler whose deliveries run in threads of its own; to the pool it is a handler like any other. */
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { builtAddress } from "../concurrency/built-address.ts";
import { carry } from "../concurrency/carried-error.ts";
import { threadEntry } from "../concurrency/thread-entry.ts";
import { Threads } from "../concurrency/threads.ts";
import { CancelledError } from "../errors.ts";
import type { Handler, HandlerThreads } from "../job/handler.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import type { ThreadDelivery } from "./handler-thread.ts";
import type { FromThread, ToThread } from "./thread-task.ts";

const entry = threadEntry(import.meta.url, "handler-thread");

export class ThreadedHandler implements AsyncDisposable {
  readonly job: Handler["job"];
  /** Never more than there are threads: a job that waits for one is better off in Redis. */
  readonly concurrency: number;
  readonly #module: string;
  readonly #threads: Threads;

  constructor({ job, concurrency }: Handler, { module, count, heapMb }: HandlerThreads) {
    this.#module = builtAddress(new URL(module));
    this.#threads = new Threads({ count, heapMb });
    this.job = job;
    this.concurrency = Math.min(concurrency ?? Infinity, this.#threads.count);
  }

  /** Ends with the thread when the task is abandoned, which frees the slot as well. */
  async run(payload: unknown, task: DeliveredTask): Promise<unknown> {
    const { port1: ours, port2: port } = new MessageChannel();
    const { signal, id, name, attempt, deadline, fence, scheduledAt } = task;
    const tell = (message: ToThread): void => ours.postMessage(message, []);
    const interrupt = (): void => tell({ interrupted: carry(signal.reason) });
    const giveUp = new AbortController();
    ours.on("message", (message: FromThread) => void answer(message, task, tell));
    signal.addEventListener("abort", interrupt, { once: true });
    if (signal.aborted) interrupt();
    task.onAbandoned(() => giveUp.abort(new CancelledError(`the thread of job ${id} was ended: its handler did not end by itself`)));
    const delivery: ThreadDelivery = { module: this.#module, facts: { id, name, attempt, deadline, fence, scheduledAt }, payload, port };
    try {
      return await this.#threads.run(entry, delivery, { signal: giveUp.signal, transfer: [port] });
    } finally {
      signal.removeEventListener("abort", interrupt);
      // What it logged at last may come behind its result.
      for (const message of rest(ours)) void answer(message, task, tell);
      ours.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]();
  }
}

async function answer(message: FromThread, task: DeliveredTask, tell: (message: ToThread) => void): Promise<void> {
  if ("log" in message) return task.log[message.log](message.message, message.fields);
  const { call } = message;
  try {
    await ("progress" in message ? task.progress(message.progress as never) : task.assertLease());
    tell({ call, failed: undefined });
  } catch (error) {
    tell({ call, failed: carry(error) });
  }
}

function* rest(port: MessagePort): Generator<FromThread> {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) yield next.message as FromThread;
}
