/** `audit`: who changed what. */
import { audit as read, type TrailEntry } from "../admin/audit.ts";
import { numberOrText } from "../config.ts";
import { durationMs } from "../options.ts";
import { openOperator, type Context } from "./context.ts";
import { counted } from "./quantity.ts";
import type { Column } from "./table.ts";

export const COLUMNS: readonly Column<TrailEntry>[] = [
  { title: "WHEN (UTC)", of: ({ at }) => new Date(at).toISOString().replace("T", " ").slice(0, 19) },
  { title: "WHO", of: ({ who }) => who, cuts: true },
  { title: "COMMAND", of: ({ command }) => command },
  { title: "TARGET", of: ({ target }) => target, cuts: true },
  { title: "OUTCOME", of: outcomeOf, style: ({ outcome }) => (outcome === "done" ? undefined : "yellow") },
];

/** Prints the trail, oldest first. */
export async function audit(context: Context, { since }: { readonly since?: string }): Promise<void> {
  const options = since === undefined ? {} : { since: durationMs(numberOrText(since), "--since") };
  await using operator = await openOperator(context);
  await context.output.rows(read(operator, options), COLUMNS, since === undefined ? "nothing was changed by these commands yet" : `nothing was changed by these commands in the last ${since}`, ({ error }) => error);
}

function outcomeOf({ outcome, touched }: TrailEntry): string {
  return `${outcome}${touched === undefined ? "" : ` (${counted(touched, "change")})`}`;
}
