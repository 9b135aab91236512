/** `audit`: who changed what. */
import { audit as read, type TrailEntry } from "../admin/audit.ts";
import { numberOrText } from "../config.ts";
import { durationMs } from "../options.ts";
import { openOperator, type Context } from "./context.ts";
import { counted } from "./quantity.ts";
import type { Column } from "./table.ts";

const COLUMNS: readonly Column<TrailEntry>[] = [
  { title: "WHEN (UTC)", of: ({ at }) => new Date(at).toISOString().replace("T", " ").slice(0, 19) },
  { title: "WHO", of: ({ who }) => who, cuts: true },
  { title: "COMMAND", of: ({ command }) => command },
  { title: "TARGET", of: ({ target }) => target, cuts: true },
  { title: "OUTCOME", of: outcomeOf, cuts: true, style: ({ outcome }) => (outcome === "done" ? undefined : "yellow") },
];

/** Prints the trail, oldest first. */
export async function audit(context: Context, { since }: { readonly since?: string }): Promise<void> {
  const options = since === undefined ? {} : { since: durationMs(numberOrText(since), "--since") };
  await using operator = await openOperator(context);
  await context.output.rows(read(operator, options), COLUMNS, since === undefined ? "nothing was changed by these commands yet" : `nothing was changed by these commands in the last ${since}`, ({ error }) => error);
}

/** Of workers that were told something also how many refused and did not answer: a change that nobody made is no success. */
function outcomeOf({ outcome, touched, details }: TrailEntry): string {
  const others = othersOf(details).map(([how, workers]) => `${workers.length} ${how}`);
  const what = [...(touched === undefined ? [] : [counted(touched, "change")]), ...others].join(", ");
  return `${outcome}${what === "" ? "" : ` (${what})`}`;
}

/** What was long is cut off, and no JSON then. */
function othersOf(details: string): [how: string, workers: readonly unknown[]][] {
  try {
    const { refused, unanswered } = JSON.parse(details) as Readonly<Record<string, unknown>>;
    return Object.entries({ refused, unanswered }).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
  } catch {
    return [];
  }
}
