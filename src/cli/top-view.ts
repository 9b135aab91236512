/** What `top` shows, and what its keys make of it: of three lists one has the keys, and of each one row is chosen. */
import type { Overview } from "../admin/overview.ts";
import { LISTS, SHOWN, type Deed, type List } from "./top-lists.ts";

export interface View {
  readonly list: List;
  /** Of each list, the key of the row that is chosen; the first where it is not there. */
  readonly chosen: Readonly<Record<List, string | undefined>>;
  /** Of each list, which of its orders. */
  readonly order: Readonly<Record<List, number>>;
  /** Is answered by `y`, and by any other key. */
  readonly question: { readonly text: string; readonly deed: Deed } | undefined;
}

export const FIRST_VIEW: View = { list: "queues", chosen: { queues: undefined, workers: undefined, tasks: undefined }, order: { queues: 0, workers: 0, tasks: 0 }, question: undefined };

/** Where the chosen row is; 0 where it has gone. */
export function chosenAt(overview: Overview, view: View, list: List): number {
  const wanted = view.chosen[list];
  return wanted === undefined ? 0 : Math.max(0, SHOWN[list].keys(overview, view.order[list]).indexOf(wanted));
}

/** What a key makes of the view, and what is to be done. */
export function press(view: View, key: string, overview: Overview): { readonly view: View; readonly deed?: Deed } {
  const { list, question } = view;
  if (question !== undefined) return { view: { ...view, question: undefined }, ...(key === "y" && { deed: question.deed }) };
  const order = view.order[list];
  const at = chosenAt(overview, view, list);
  switch (key) {
    case "q":
      return { view, deed: { kind: "quit" } };
    case "tab":
    case "right":
      return { view: { ...view, list: beside(list, 1) } };
    case "left":
      return { view: { ...view, list: beside(list, -1) } };
    case "down":
    case "j":
      return { view: choose(view, overview, at + 1) };
    case "up":
    case "k":
      return { view: choose(view, overview, at - 1) };
    case "s":
      return { view: { ...view, order: { ...view.order, [list]: (order + 1) % SHOWN[list].orders.length } } };
  }
  const act = SHOWN[list].act(overview, order, at, key);
  if (act === undefined) return { view };
  // It is that row that is meant, wherever it stands a moment later.
  const held = choose(view, overview, at);
  return act.question === undefined ? { view: held, deed: act.deed } : { view: { ...held, question: { text: act.question, deed: act.deed } } };
}

function choose(view: View, overview: Overview, to: number): View {
  const { list } = view;
  const keys = SHOWN[list].keys(overview, view.order[list]);
  return { ...view, chosen: { ...view.chosen, [list]: keys[Math.min(Math.max(to, 0), keys.length - 1)] } };
}

function beside(list: List, by: number): List {
  return LISTS[(LISTS.indexOf(list) + by + LISTS.length) % LISTS.length]!;
}
