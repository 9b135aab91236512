/** The thread's side of a handler that runs in threads: imports its module, runs the delivery, tells how it ended. */
import type { MessagePort } from "node:worker_threads";
import { carry } from "../concurrency/carried-error.ts";
import { spawn } from "../concurrency/task.ts";
import type { ThreadOutcome } from "../concurrency/threads.ts";
import { DeadLetter, NotFoundError } from "../errors.ts";
import type { Handler } from "../job/handler.ts";
import { type TaskFacts, ThreadTask } from "./thread-task.ts";

export interface ThreadDelivery {
  readonly module: string;
  readonly facts: TaskFacts;
  readonly payload: unknown;
  readonly port: MessagePort;
}

export default async function runDelivery({ module, facts, payload, port }: ThreadDelivery): Promise<ThreadOutcome> {
  using task = new ThreadTask(facts, port);
  try {
    const handler = await importHandler(module, facts.name);
    return { returned: copyable(await spawn(async () => handler.run(payload, task), { name: `${facts.name} ${facts.id}` })) };
  } catch (error) {
    return { thrown: carry(error) };
  }
}

/** By its shape, since it may come from another copy of the package. */
async function importHandler(module: string, name: string): Promise<Handler> {
  const { default: found } = (await import(module)) as { readonly default?: Partial<Handler> };
  if (found?.job?.name === name && typeof found.run === "function") return found as Handler;
  throw new NotFoundError(`expected ${module} to export as default the handler of job ${JSON.stringify(name)}: that is the module to name as threads.module`);
}

/** The work is done: running it again, because its result cannot be told, would do it twice. */
function copyable(result: unknown): unknown {
  try {
    return structuredClone(result);
  } catch (cause) {
    throw new DeadLetter(`the result cannot leave its thread: ${(cause as Error).message}`, { cause });
  }
}
