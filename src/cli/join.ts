/** `queue join`: waits until nothing of a queue is unfinished. */
import { numberOrText } from "../config.ts";
import { defineJob } from "../job/contract.ts";
import { durationMs } from "../options.ts";
import { openOperator, type Context } from "./context.ts";

export interface JoinOptions {
  readonly timeout?: string;
}

/**
 * Prints how the queue stands at the end.
 *
 * @throws NotFoundError when nobody has ever used the queue: no job, no settings; TimeoutError
 */
export async function join(context: Context, name: string, { timeout }: JoinOptions): Promise<void> {
  const { output, interruption } = context;
  const limit = timeout === undefined ? {} : { timeout: durationMs(numberOrText(timeout), "--timeout") };
  // Any name will do: a join looks at the queue, not at one of its jobs.
  const job = defineJob("join", { queue: name });
  await using operator = await openOperator(context);
  await operator.existing(name);
  const queue = await operator.queueNamed(job);
  await queue.join({ ...limit, signal: interruption.signal });
  const { completed, failed } = await queue.counts();
  await output.result(`${name}: nothing unfinished; ${completed} completed and ${failed} failed are kept`, { queue: name, unfinished: 0, completed, failed });
}
