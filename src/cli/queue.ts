/** What the commands `queue …` print. */
import { listQueues, type QueueRow } from "../admin/queues.ts";
import { openOperator, type Context } from "./context.ts";
import type { Column } from "./table.ts";

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
