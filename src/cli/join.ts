/** `queue join`: waits until nothing of a queue is unfinished, and prints how it stands. */
import { joinQueue } from "../admin/queue-join.ts";
import { numberOrText } from "../config.ts";
import { durationMs } from "../options.ts";
import { openOperator, type Context } from "./context.ts";

export interface JoinFlags {
  readonly timeout?: string;
}

export async function join(context: Context, name: string, { timeout }: JoinFlags): Promise<void> {
  const limit = timeout === undefined ? {} : { timeout: durationMs(numberOrText(timeout), "--timeout") };
  await using operator = await openOperator(context);
  const joined = await joinQueue(operator, name, { ...limit, signal: context.interruption.signal });
  await context.output.result(`${name}: nothing unfinished; ${joined.completed} completed and ${joined.failed} failed are kept`, joined);
}
