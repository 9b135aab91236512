/** What the commands `queue …` print. */
import { deleteQueue, pauseQueue, resumeQueue, type PauseResult } from "../admin/queue-changes.ts";
import { queueStats, type QueueStats } from "../admin/queue-stats.ts";
import { listQueues, type QueueRow } from "../admin/queues.ts";
import { listStockWorkers } from "../admin/workers.ts";
import { sleep } from "../concurrency/sleep.ts";
import { numberOrText } from "../config.ts";
import { BackendError } from "../errors.ts";
import { durationMs, type Duration } from "../options.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import { openOperator, type Context } from "./context.ts";
import { count, counted, milliseconds, span } from "./quantity.ts";
import { painted, printable, type Column } from "./table.ts";

const COLUMNS: readonly Column<QueueRow>[] = [
  { title: "QUEUE", of: ({ queue, paused }) => `${queue}${paused ? " (paused)" : ""}`, cuts: true, style: ({ paused }) => (paused ? "yellow" : undefined) },
  { title: "WAITING", of: ({ waiting }) => waiting },
  { title: "PRIO", of: ({ prioritized }) => prioritized },
  { title: "DELAYED", of: ({ delayed }) => delayed },
  { title: "CHILDREN", of: (row) => row["waiting-children"] },
  { title: "ACTIVE", of: ({ active }) => active },
  { title: "DONE", of: ({ completed }) => completed },
  { title: "FAILED", of: ({ failed }) => failed, style: ({ failed }) => (failed > 0 ? "red" : undefined) },
];

export async function list(context: Context): Promise<void> {
  await using operator = await openOperator(context);
  await context.output.rows(await listQueues(operator), COLUMNS, `no queue is under the prefix ${JSON.stringify(operator.prefix)}`);
}

export interface StatsFlags {
  readonly since?: string;
  readonly watch?: true;
}

const WATCH_MS = 2000;

/** With `--watch` again and again until Ctrl-C, in place on a terminal, and through an outage of Redis once it has begun. */
export async function stats(context: Context, name: string, { since = "5m", watch }: StatsFlags): Promise<void> {
  const { output, interruption } = context;
  const options = { since: numberOrText(since) as Duration };
  await using operator = await openOperator(context);
  const isInPlace = watch === true && process.stdout.isTTY && !output.json;
  const look = async (): Promise<void> => {
    const [found, stock] = await Promise.all([queueStats(operator, name, options), listStockWorkers(operator)]);
    const uncounted = stock.some(({ queue }) => queue === name);
    await output.result(`${isInPlace ? "\u001b[H\u001b[2J" : ""}${shown(found, since, uncounted)}`, found);
  };
  await look();
  if (watch !== true) return;
  for (;;) {
    await sleep(WATCH_MS, { signal: interruption.signal });
    try {
      await look();
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      output.warning(`what is shown is old: ${error.message}`);
    }
  }
}

/** @param uncounted  stock workers take jobs of it too, and tell nobody what they do */
function shown(stats: QueueStats, since: string, uncounted: boolean): string {
  const { queue, paused, waiting, prioritized, delayed, active, completed, failed, oldestWaitingMs, failedLastHour, history } = stats;
  const { perSecond, arrivalsPerSecond, wait, run } = history;
  const toldOf = history.to - history.from;
  const rate = (value: number | undefined): string => (value === undefined ? "-" : `${value >= 10 ? count(Math.round(value)) : value.toFixed(1)}/s`);
  const times = (found: typeof wait): string => (found === undefined ? "-" : [found.p50, found.p95, found.p99].map(milliseconds).join(" / "));
  const rows: readonly (readonly [string, string])[] = [
    ["waiting", `${count(waiting)}, ${count(prioritized)} prioritized, ${count(delayed)} delayed, ${count(stats["waiting-children"])} for children`],
    ["active", count(active)],
    ["kept", `${count(completed)} completed, ${count(failed)} failed`],
    ["oldest waiting", oldestWaitingMs === undefined ? "-" : span(oldestWaitingMs)],
    ["failed, last hour", failedLastHour === 0 ? "0" : painted("red", count(failedLastHour), process.stdout)],
    [`last ${toldOf < durationMs(numberOrText(since), "--since") ? `${span(toldOf)} (all)` : since}`, `arrivals ${rate(arrivalsPerSecond)}, put ${rate(perSecond.put)}`],
    ["", `completed ${rate(perSecond.completed)}, failed ${rate(perSecond.failed)}, retried ${rate(perSecond.retried)}`],
    ["wait p50/p95/p99", times(wait)],
    ["run p50/p95/p99", times(run)],
    ...(uncounted ? [["not in the rates", "what stock BullMQ workers do, who take jobs of it too"] as const] : []),
  ];
  const title = painted("bold", printable(queue), process.stdout) + (paused ? painted("yellow", " (paused)", process.stdout) : "");
  return [title, ...rows.map(([label, text]) => `  ${label.padEnd(18)} ${text}`)].join("\n");
}

export async function pause(context: Context, name: string): Promise<void> {
  await using operator = await openOperator(context);
  await printPaused(context, await pauseQueue(operator, name));
}

export async function resume(context: Context, name: string): Promise<void> {
  await using operator = await openOperator(context);
  await printPaused(context, await resumeQueue(operator, name));
}

function printPaused({ output }: Context, result: PauseResult): Promise<void> {
  return output.result(`${result.queue} is ${result.paused ? "paused: what runs goes on, nothing more is started" : "resumed"}`, result);
}

/** @returns 1 when the answer was no */
export async function remove(context: Context, name: string, flags: ConfirmFlags & { readonly force?: true }): Promise<number | void> {
  await using operator = await openOperator(context);
  if (flags.dryRun !== true) operator.assertMayChange("queue delete");
  const { unfinished, completed, failed } = await queueStats(operator, name);
  const what = `delete the queue ${name}: ${counted(unfinished, "unfinished job")}, ${count(completed)} completed, ${count(failed)} failed, its schedules and settings`;
  const answer = await confirm(context, what, { queue: name, unfinished, completed, failed }, flags);
  if (answer !== "yes") return answer === "no" ? 1 : undefined;
  const result = await deleteQueue(operator, name, { force: flags.force === true, signal: context.interruption.signal });
  await context.output.result(`${name} is deleted, with ${counted(result.jobs, "job")}`, result);
}
