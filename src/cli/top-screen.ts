/** Draws what `top` shows: as many lines as the terminal has, none wider than it is. */
import { styleText } from "node:util";
import type { Overview } from "../admin/overview.ts";
import { counted } from "./quantity.ts";
import { printable, type TableStream } from "./table.ts";
import { LISTS, SHOWN, type List } from "./top-lists.ts";
import { chosenAt, type View } from "./top-view.ts";

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly colours: boolean;
}

const KEYS: Readonly<Record<List, string>> = {
  queues: "q quit · tab next list · ↑↓ choose · s sort · p pause or resume",
  workers: "q quit · tab next list · ↑↓ choose · s sort · + - slots",
  tasks: "q quit · tab next list · ↑↓ choose · s sort · c cancel",
};
/** Title, and the header of the table. */
const HEAD = 2;
const MARK = 2;

/** @param notice  what came of the last deed, or why nothing is new */
export async function topLines(overview: Overview, view: View, place: string, notice: string, screen: Screen): Promise<string[]> {
  const { queues, workers, tasks } = overview;
  const title = `millrace top: ${counted(queues.length, "queue")}, ${counted(workers.length, "worker")}, ${counted(tasks.length, "task")}; ${place}`;
  const heights = shared(screen.rows - 2, view, overview);
  const body: string[] = [];
  for (const list of LISTS) body.push(...(await listLines(overview, view, list, heights[list], screen)));
  const last = view.question === undefined ? notice || KEYS[view.list] : `${view.question.text} [y/N]`;
  const filler = Array.from({ length: Math.max(0, screen.rows - 2 - body.length) }, () => "");
  return [bold(cut(title, screen), screen), ...body.slice(0, screen.rows - 2), ...filler, cut(last, screen)];
}

/** The list with the keys has what it needs, as far as a quarter is left for each of the others; these share what it leaves. */
function shared(lines: number, view: View, overview: Overview): Readonly<Record<List, number>> {
  const wants = (list: List): number => HEAD + Math.max(1, SHOWN[list].keys(overview, 0).length);
  const others = LISTS.filter((list) => list !== view.list);
  const least = others.reduce((sum, list) => sum + Math.min(wants(list), Math.floor(lines / 4)), 0);
  const own = Math.min(wants(view.list), lines - least);
  const [one, other] = others as [List, List];
  const left = lines - own;
  const first = Math.min(wants(one), Math.max(Math.ceil(left / 2), left - wants(other)));
  return { [view.list]: own, [one]: first, [other]: Math.min(wants(other), left - first) } as Record<List, number>;
}

async function listLines(overview: Overview, view: View, list: List, height: number, screen: Screen): Promise<string[]> {
  const { orders, keys, lines: linesOf } = SHOWN[list];
  const order = view.order[list];
  const count = keys(overview, order).length;
  const isActive = view.list === list;
  const name = `${list.toUpperCase()}  by ${orders[order]!}`;
  const head = isActive ? bold(name, screen) : name;
  const room = Math.max(0, height - HEAD);
  if (count === 0) return [head, "  none"].slice(0, height);
  const at = chosenAt(overview, view, list);
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), count - room));
  const stream: TableStream = { write: () => undefined, isTTY: true, columns: screen.columns - MARK, hasColors: () => screen.colours };
  const lines: string[] = [];
  for await (const line of linesOf(overview, order, from, room, stream)) lines.push(line);
  return [head, ...lines.map((line, i) => `${isActive && i - 1 + from === at ? "> " : "  "}${line}`)].slice(0, height);
}

function bold(text: string, { colours }: Screen): string {
  return colours ? styleText("bold", text, { validateStream: false }) : text;
}

function cut(text: string, { columns }: Screen): string {
  const line = printable(text);
  return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;
}

