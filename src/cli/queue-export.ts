/** What `queue export` prints. By itself: its first line is not to wait for what reads and moves. */
import { exportQueue, type ExportLine } from "../admin/queue-export.ts";
import { openOperator, type Context } from "./context.ts";

/** Lines of JSON, with `--json` and without. */
export async function exportTo(context: Context, name: string, { unmasked }: { readonly unmasked?: true }): Promise<void> {
  await using operator = await openOperator(context);
  await context.output.records(told(context, exportQueue(operator, name, { unmasked: unmasked === true })), `nothing is in ${name}`);
}

async function* told({ output, interruption }: Context, lines: AsyncIterable<ExportLine>): AsyncGenerator<ExportLine, void> {
  for await (const line of lines) {
    interruption.signal.throwIfAborted();
    if (line.kind === "queue" && line.masked === true) output.warning("what contracts redact is ***, so this cannot be imported: --unmasked writes it out, and the trail tells of it");
    yield line;
  }
}
