/** What the commands `limit …` print. */
import { listLimits, setLimits, showLimits, type Limits, type LimitsSet } from "../admin/limits.ts";
import { numberOrText } from "../config.ts";
import { openOperator, type Context } from "./context.ts";
import { count, period, span } from "./quantity.ts";
import type { Column } from "./table.ts";

const COLUMNS: readonly Column<Limits>[] = [
  { title: "QUEUE", of: ({ queue }) => queue, cuts: true },
  { title: "CONCURRENCY", of: ({ concurrency }) => (concurrency === undefined ? "none" : count(concurrency)), align: "right" },
  { title: "RATE", of: rateText, align: "right" },
  { title: "HELD", of: ({ heldForMs }) => (heldForMs > 0 ? `for ${span(heldForMs)}` : ""), style: () => "yellow" },
  { title: "NOTE", of: noteOf, style: ({ isPartial }) => (isPartial ? "red" : undefined) },
];

function noteOf({ shares, isPartial }: Limits): string | undefined {
  if (isPartial) return "only some of its partitions are limited: set it anew";
  return shares === 1 ? undefined : `shared by ${shares} queues of Redis`;
}

/** Of one queue, or of all that have any. */
export async function show(context: Context, queue: string | undefined): Promise<void> {
  await using operator = await openOperator(context);
  await context.output.rows(queue === undefined ? await listLimits(operator) : [await showLimits(operator, queue)], COLUMNS, "no queue has a limit");
}

export async function set(context: Context, queue: string, { concurrency, rate }: { readonly concurrency?: string; readonly rate?: string }): Promise<void> {
  const said = { ...(concurrency !== undefined && { concurrency: numberOrText(concurrency) }), ...(rate !== undefined && { rate }) } as LimitsSet;
  await using operator = await openOperator(context);
  const limits = await setLimits(operator, queue, said);
  await context.output.result(`${queue}: ${limits.concurrency === undefined ? "no limit of what is active" : `at most ${count(limits.concurrency)} active`}, ${limits.rate === undefined ? "no limit of the rate" : `at most ${rateText(limits)} started`}${limits.shares === 1 ? "" : `, ${noteOf(limits)}`}`, limits);
}

function rateText({ rate }: Limits): string {
  if (rate === undefined) return "none";
  const { max, durationMs } = rate;
  return `${count(max)}/${period(durationMs).replace(/^1 /, "")}`;
}
