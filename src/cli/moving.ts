/** What `queue import` and `move` read and print. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { addAbortSignal, type Readable } from "node:stream";
import { importQueue } from "../admin/queue-import.ts";
import { giveBackMove } from "../admin/queue-give-back.ts";
import { assertMayMove, moveQueue, type MoveResult } from "../admin/queue-move.ts";
import { queueStats } from "../admin/queue-stats.ts";
import { startTicker } from "../concurrency/timer.ts";
import { BackendError, OptionError } from "../errors.ts";
import { assertCanAsk, confirm, type ConfirmFlags } from "./confirm.ts";
import { openOperator, openOtherOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { count, counted } from "./quantity.ts";

/** @returns 1 when the export was cut off */
export async function importFrom(context: Context, name: string, file: string | undefined): Promise<number> {
  if (file === undefined && process.stdin.isTTY) throw new OptionError("expected a file, or what export wrote on standard input, got a terminal");
  const { interruption, output } = context;
  const input = file === undefined || file === "-" ? process.stdin : await opened(file);
  await using operator = await openOperator(context);
  const result = await goesOn(context, () => importQueue(operator, name, linesOf(addAbortSignal(interruption.signal, input)), { signal: interruption.signal }));
  const { jobs, existing, schedules, complete } = result;
  const skipped = existing === 0 ? "" : `; ${count(existing)} were there already, and are left as they are`;
  await output.result(`${name}: ${counted(jobs, "job")} and ${counted(schedules, "schedule")} are imported${skipped}`, result);
  if (!complete) output.warning("the export ends before its last line: there may have been more jobs");
  return complete ? EXIT.done : EXIT.failed;
}

/** Whoever sees it broken off is told what to do. */
async function goesOn<T>({ output, interruption }: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BackendError || interruption.signal.aborted) output.warning("this was broken off: the same command again does the rest");
    throw error;
  }
}

/** @throws OptionError when there is no such file */
async function opened(file: string): Promise<Readable> {
  const stream = createReadStream(file);
  try {
    await once(stream, "open");
  } catch (cause) {
    throw new OptionError(`expected a file that can be read, got ${file}: ${(cause as Error).message}`, { cause });
  }
  return stream;
}

/** What breaks the stream breaks the loop. */
async function* linesOf(stream: Readable): AsyncGenerator<string, void> {
  const lines = createInterface({ input: stream, crlfDelay: Infinity });
  stream.once("error", () => lines.close());
  yield* lines;
  if (stream.errored !== null) throw stream.errored;
}

export interface MoveFlags extends ConfirmFlags {
  readonly to?: string;
  readonly toRedis?: string;
  readonly toPrefix?: string;
  readonly giveBack?: true;
}

const TOLD_MS = 3000;

/** @returns 1 when the answer was no, or when jobs were left */
export async function move(context: Context, name: string, flags: MoveFlags): Promise<number | void> {
  const { to = name, toRedis, toPrefix } = flags;
  if (flags.to === undefined && toRedis === undefined && toPrefix === undefined) throw new OptionError("expected where to: --to, --to-redis or --to-prefix");
  assertCanAsk(flags);
  const { interruption, output } = context;
  await using operator = await openOperator(context);
  await using target = await openOtherOperator(context, { redis: toRedis, prefix: toPrefix });
  if (flags.dryRun !== true) operator.assertMayChange("queue move");
  const { waiting, prioritized, delayed, completed, failed } = await queueStats(operator, name);
  const jobs = waiting + prioritized + delayed + completed + failed;
  await target.ready();
  await assertMayMove(operator, name, target, to);
  const where = `${to} under ${target.prefix} at ${target.connections.address}`;
  const answer = await confirm(context, `move the queue ${name} with ${counted(jobs, "job")} to ${where}`, { queue: name, jobs, to: where }, flags);
  if (answer !== "yes") return answer === "no" ? EXIT.failed : undefined;
  let soFar = 0;
  const callOff = startTicker(TOLD_MS, () => void process.stderr.write(`${count(soFar)} moved\n`));
  try {
    const result = await goesOn(context, () => moveQueue(operator, name, target, to, { signal: interruption.signal, onProgress: (moved) => (soFar = moved) }));
    await output.result(shown(name, where, result), result);
    return isAll(result) ? EXIT.done : EXIT.failed;
  } finally {
    callOff();
  }
}

/** @returns 1 when the answer was no */
export async function giveBack(context: Context, name: string, flags: MoveFlags): Promise<number | void> {
  const { to, toRedis, toPrefix } = flags;
  if (to !== undefined || toRedis !== undefined || toPrefix !== undefined) throw new OptionError("expected --give-back by itself: it asks no other queue, so what has arrived there stays there");
  assertCanAsk(flags);
  await using operator = await openOperator(context);
  if (flags.dryRun !== true) operator.assertMayChange("queue move");
  const { jobs, to: where } = await giveBackMove(operator, name, { dryRun: true });
  const what = `give back ${counted(jobs, "job")} of ${name} to where they stood, and forget the move to ${where}, which may have them too`;
  const answer = await confirm(context, what, { queue: name, jobs, to: where }, flags);
  if (answer !== "yes") return answer === "no" ? EXIT.failed : undefined;
  const result = await giveBackMove(operator, name);
  await context.output.result(`${name}: ${counted(result.jobs, "job")} stand where they stood again, and the move to ${where} is forgotten`, result);
  if (result.jobs > 0) context.output.warning("if they had arrived there before it was interrupted, they are in both queues, and may run twice");
}

function isAll({ left }: MoveResult): boolean {
  return left.active === 0 && left.flow === 0 && left.taken.length === 0;
}

function shown(name: string, where: string, { to, moved, schedules, paused, left }: MoveResult): string {
  const lines = [`${name}: ${counted(moved, "job")} and ${counted(schedules, "schedule")} are moved to ${where}`];
  if (paused) lines.push(`  ${to} is paused: millrace queue resume ${to} lets it go on`);
  if (left.active > 0) lines.push(`  ${counted(left.active, "job")} runs or run here: move again when they have ended`);
  if (left.flow > 0) lines.push(`  ${counted(left.flow, "job")} of flows stay: they are bound to their queues`);
  if (left.taken.length > 0) lines.push(`  ${counted(left.taken.length, "job")} stay, since the other queue has jobs of their ids: ${left.taken.slice(0, 5).join(", ")}`);
  return lines.join("\n");
}
