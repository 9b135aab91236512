/** What the commands `dead …` print that look at dead letters. */
import { DEAD_LOOKED, exportDead, listDeadByQueue, showDead, type DeadGroup } from "../admin/dead.ts";
import { openOperator, type Context } from "./context.ts";
import { showingCount } from "./count-line.ts";
import type { FilterFlags } from "./filter-flags.ts";
import { filterOf } from "./said-filter.ts";
import { described } from "./job.ts";
import { count, counted, span } from "./quantity.ts";
import { throwPlace } from "./stack.ts";
import { painted, printable, type Column } from "./table.ts";

/**
 * Prints groups, each with where its last one was thrown: of one queue, the largest first; of all of them queue by queue, as they are
 * read, since to rank them all would be to wait until every key of Redis was looked at.
 */
export async function list(context: Context, queue: string | undefined, flags: FilterFlags & { readonly all?: true }): Promise<void> {
  const { output } = context;
  const filter = filterOf(flags);
  await using operator = await openOperator(context);
  let [seen, most, isCut] = [0, 0, false];
  const queues = listDeadByQueue(operator, queue, { ...filter, ...(flags.all === true && { all: true }), onProgress: (so) => (seen = so) });
  const groups = (async function* () {
    for await (const found of queues) {
      isCut ||= found.isCut;
      most = Math.max(most, found.looked);
      yield* found.groups;
    }
  })();
  // What counts is gone before there are rows that it would stand among.
  const first = await showingCount(() => `${counted(seen, "dead letter")} looked at`, groups.next());
  const all = (async function* () {
    if (first.done !== true) yield first.value;
    yield* groups;
  })();
  const now = operator.connections.clock.now();
  const columns: readonly Column<DeadGroup>[] = [
    ...(queue === undefined ? [{ title: "QUEUE", of: ({ queue }: DeadGroup) => queue }] : []),
    { title: "GROUP", of: ({ group }) => group },
    { title: "COUNT", of: ({ count }) => count },
    { title: "NAME", of: ({ name }) => name, cuts: true },
    { title: "LAST", of: ({ lastAt }) => span(now - lastAt), align: "right" },
    { title: "ERROR", of: ({ error }) => error, cuts: true, style: () => "red" },
  ];
  await output.rows(all, columns, queue === undefined ? "there are no dead letters" : `there are no dead letters in ${queue}${Object.keys(filter).length > 0 ? " that match" : ""}`, ({ sampleStack }) => throwPlace(sampleStack));
  if (isCut) output.warning(`the last ${count(flags.limit === undefined ? DEAD_LOOKED : most)} dead letters${queue === undefined ? " of each queue" : ""} are grouped, and there may be more: --all groups all of them`);
}

export async function show(context: Context, queue: string, group: string): Promise<void> {
  await using operator = await openOperator(context);
  const found = await showDead(operator, queue, group);
  const now = operator.connections.clock.now();
  const { name, error, count: letters, firstAt, lastAt } = found.group;
  const title = `${painted("bold", `${counted(letters, "dead letter")} of ${printable(name)}`, process.stdout)}: ${painted("red", printable(error), process.stdout)}`;
  const lines = [title, `  the first ${span(now - firstAt)} ago, the last ${span(now - lastAt)} ago`, `  again:   millrace dead retry ${queue} --group ${found.group.group}`, `  away:    millrace dead discard ${queue} --group ${found.group.group}`, "", "the last one:"];
  await context.output.result(`${lines.join("\n")}\n${described(found.sample, now)}`, found);
}

/** Always JSON, one dead letter a line. */
export async function toLines(context: Context, queue: string, flags: FilterFlags): Promise<void> {
  const filter = filterOf(flags);
  await using operator = await openOperator(context);
  await context.output.records(exportDead(operator, queue, filter), `there are no dead letters in ${queue}${Object.keys(filter).length > 0 ? " that match" : ""}`);
}
