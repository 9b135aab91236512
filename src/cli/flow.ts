/** `flow show`: a flow as a tree. */
import { showFlow, type FlowNode } from "../admin/flow.ts";
import { numberOrText } from "../config.ts";
import { openOperator, type Context } from "./context.ts";
import { counted } from "./quantity.ts";
import { painted, printable } from "./table.ts";

const STYLES: Readonly<Record<string, "red" | "cyan" | "green" | "dim">> = { failed: "red", cancelled: "red", active: "cyan", completed: "green", removed: "dim" };

export async function show(context: Context, queue: string, id: string, { limit }: { readonly limit?: string }): Promise<void> {
  const options = limit === undefined ? {} : { limit: numberOrText(limit) as number }; // what is no number, the function refuses
  await using operator = await openOperator(context);
  const root = await showFlow(operator, queue, id, options);
  await context.output.result(linesOf(root, "", "").join("\n"), root);
}

function linesOf(node: FlowNode, branch: string, below: string): string[] {
  const { queue, id, name, state, asked, children, more } = node;
  const label = `${printable(name ?? "(gone)")} ${printable(queue)}/${printable(id)}`;
  const rows = [`${branch}${painted(STYLES[state] ?? "yellow", state, process.stdout)}  ${asked ? painted("bold", label, process.stdout) : label}`];
  for (const [i, child] of children.entries()) {
    const isLast = i === children.length - 1 && more === 0;
    rows.push(...linesOf(child, `${below}${isLast ? "└─ " : "├─ "}`, `${below}${isLast ? "   " : "│  "}`));
  }
  if (more > 0) rows.push(`${below}└─ and ${counted(more, "more job")}: --limit shows more`);
  return rows;
}
