/** What the commands `schedule …` print. */
import { listSchedules, pauseSchedule, putSchedule, removeSchedule, resumeSchedule, runSchedule, type SchedulePut, type ScheduleRow } from "../admin/schedules.ts";
import { numberOrText } from "../config.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import { openOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { parsePayload } from "./job-change.ts";
import { period, span } from "./quantity.ts";
import type { Column } from "./table.ts";

export async function list(context: Context, queue: string | undefined): Promise<void> {
  await using operator = await openOperator(context);
  const schedules = await listSchedules(operator, queue);
  const now = operator.connections.clock.now();
  const columns: readonly Column<ScheduleRow>[] = [
    { title: "QUEUE", of: ({ queue }) => queue, cuts: true },
    { title: "ID", of: ({ id }) => id, cuts: true },
    { title: "JOB", of: ({ name }) => name, cuts: true },
    { title: "WHEN", of: whenOf, cuts: true },
    { title: "NEXT", of: ({ nextAt }) => nextOf(nextAt, now), style: ({ nextAt }) => (nextAt === undefined ? "yellow" : isOverdue(nextAt, now) ? "red" : undefined) },
    { title: "RUNS", of: ({ runs }) => runs },
  ];
  await context.output.rows(schedules, columns, queue === undefined ? "there are no schedules" : `${queue} has no schedules`);
}

function whenOf({ cron, everyMs, tz }: ScheduleRow): string {
  return everyMs === undefined ? `${cron ?? ""}${tz === undefined ? "" : ` ${tz}`}` : `every ${period(everyMs)}`;
}

function nextOf(nextAt: number | undefined, now: number): string {
  if (nextAt === undefined) return "paused";
  if (nextAt > now) return `in ${span(nextAt - now)}`;
  return isOverdue(nextAt, now) ? `${span(now - nextAt)} overdue` : "now";
}

/** Whoever takes jobs starts what is due within seconds. */
function isOverdue(nextAt: number, now: number): boolean {
  return now - nextAt > 5000;
}

export interface ScheduleFlags {
  readonly name?: string;
  readonly cron?: string;
  readonly every?: string;
  readonly tz?: string;
  readonly payload?: string;
  readonly attempts?: string;
}

export async function put(context: Context, queue: string, id: string, { name = id, cron, every, tz, payload, attempts }: ScheduleFlags): Promise<void> {
  const said = {
    name,
    ...(cron !== undefined && { cron }),
    ...(every !== undefined && { every: numberOrText(every) }),
    ...(tz !== undefined && { tz }),
    ...(payload !== undefined && { payload: parsePayload(payload) }),
    ...(attempts !== undefined && { attempts: numberOrText(attempts) }),
  } as SchedulePut; // what is no number, the function refuses
  await using operator = await openOperator(context);
  const row = await putSchedule(operator, queue, id, said);
  await context.output.result(`schedule ${id} of ${queue}: ${whenOf(row)}, next ${nextOf(row.nextAt, operator.connections.clock.now())}`, row);
}

export async function pause(context: Context, queue: string, id: string): Promise<void> {
  await using operator = await openOperator(context);
  await context.output.result(`schedule ${id} of ${queue} is paused`, await pauseSchedule(operator, queue, id));
}

export async function resume(context: Context, queue: string, id: string): Promise<void> {
  await using operator = await openOperator(context);
  const row = await resumeSchedule(operator, queue, id);
  await context.output.result(`schedule ${id} of ${queue} goes on, next ${nextOf(row.nextAt, operator.connections.clock.now())}`, row);
}

/** Prints the id of the job that was put. */
export async function run(context: Context, queue: string, id: string): Promise<void> {
  await using operator = await openOperator(context);
  const result = await runSchedule(operator, queue, id);
  await context.output.result(result.id, result);
}

export async function remove(context: Context, queue: string, id: string, flags: ConfirmFlags): Promise<number> {
  await using operator = await openOperator(context);
  const answer = await confirm(context, `remove the schedule ${id} of ${queue}`, { queue, schedule: id }, flags);
  if (answer !== "yes") return answer === "no" ? EXIT.failed : EXIT.done;
  await context.output.result(`schedule ${id} of ${queue} is removed`, await removeSchedule(operator, queue, id));
  return EXIT.done;
}
