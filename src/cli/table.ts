/**
 * A table for people: columns aligned, as wide as what they hold, cut to the terminal. Rows are printed as they come:
 * widths are taken from the first ones, so that a table may be longer than memory.
 */
import { createRequire } from "node:module";
import { styleText } from "node:util";
import { startTimer } from "../concurrency/timer.ts";
import { count } from "./quantity.ts";

export type Style = Parameters<typeof styleText>[0];

export interface Column<R> {
  readonly title: string;
  /** Text of a cell; undefined is an empty one. Whatever it holds, nothing but text reaches the terminal. */
  readonly of: (row: R) => string | number | undefined;
  /** @default left, numbers right */
  readonly align?: "left" | "right";
  /** Of columns that may be cut where the terminal is too narrow, the widest first. @default false */
  readonly cuts?: boolean;
  readonly style?: (row: R) => Style | undefined;
}

export interface TableStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean;
}

/** Rows that set the widths: so many, or what has come by then; who waits for others does not hold them back. */
const MEASURED = 100;
const HELD_MS = 50;
const GAP = "  ";
const INDENT = "          ";
const NARROWEST = 6;

/**
 * Lines of a table, its header first; none where there are no rows.
 *
 * @param below  a line of its own after a row, where there is more to tell than fits
 */
export async function* tableLines<R>(rows: AsyncIterable<R> | Iterable<R>, columns: readonly Column<R>[], stream: TableStream, below?: (row: R) => string | undefined): AsyncGenerator<string, void> {
  const source = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]();
  try {
    let coming = Promise.resolve(source.next());
    let item: IteratorResult<R> | undefined = await coming;
    const { promise: isTime, resolve } = Promise.withResolvers<undefined>();
    const callOff = startTimer(HELD_MS, () => resolve(undefined));
    const first: R[] = [];
    try {
      while (item !== undefined && item.done !== true && first.length < MEASURED) {
        first.push(item.value);
        coming = Promise.resolve(source.next());
        item = await Promise.race([coming, isTime]);
      }
    } finally {
      callOff();
    }
    if (first.length === 0) return;
    const layout = new Layout(columns, first, stream, below);
    yield* layout.lines(first);
    for (let row = await coming; row.done !== true; row = await source.next()) yield* layout.linesOf(row.value);
  } finally {
    await source.return?.();
  }
}

class Layout<R> {
  readonly #columns: readonly (Column<R> & { readonly width: number; readonly right: boolean })[];
  readonly #stream: TableStream;
  readonly #below: ((row: R) => string | undefined) | undefined;
  /** Text that is wider is cut: elsewhere than on a terminal, nothing is. */
  readonly #isBound: boolean;

  constructor(columns: readonly Column<R>[], rows: readonly R[], stream: TableStream, below?: (row: R) => string | undefined) {
    this.#stream = stream;
    this.#below = below;
    this.#isBound = stream.isTTY === true;
    const widths = columns.map((column) => Math.max(widthOf(column.title), ...rows.map((row) => widthOf(textOf(column, row)))));
    if (this.#isBound) fit(widths, columns, (stream.columns ?? 80) - GAP.length * (columns.length - 1));
    this.#columns = columns.map((column, i) => {
      const right = (column.align ?? (typeof rows.map((row) => column.of(row)).find((cell) => cell !== undefined) === "number" ? "right" : "left")) === "right";
      return { ...column, width: widths[i]!, right };
    });
  }

  *lines(rows: readonly R[]): Generator<string, void> {
    yield this.#join(this.#columns.map((column) => this.#cell(column.title, column, "bold")));
    for (const row of rows) yield* this.linesOf(row);
  }

  *linesOf(row: R): Generator<string, void> {
    yield this.#join(this.#columns.map((column) => this.#cell(textOf(column, row), column, column.style?.(row))));
    const text = this.#below?.(row);
    if (text === undefined) return;
    const line = INDENT + printable(text);
    yield painted("dim", this.#isBound ? cutTo(line, this.#stream.columns ?? 80) : line, this.#stream);
  }

  /** What may not be cut is not, where a later row has more of it than those that were measured. */
  #cell(text: string, { width, right, cuts }: { readonly width: number; readonly right: boolean; readonly cuts?: boolean }, style: Style | undefined): string {
    const cut = this.#isBound && cuts === true ? cutTo(text, width) : text;
    const padding = " ".repeat(Math.max(0, width - widthOf(cut)));
    const shown = style === undefined || cut === "" ? cut : painted(style, cut, this.#stream);
    return right ? padding + shown : shown + padding;
  }

  #join(cells: readonly string[]): string {
    return cells.join(GAP).trimEnd();
  }
}

/** With colour where the stream is a terminal that shows it; `NO_COLOR` holds, as Node reads it. */
export function painted(style: Style, text: string, stream: TableStream): string {
  return stream.hasColors?.() === true ? styleText(style, text, { validateStream: false }) : text;
}

/** Takes from the widest of the columns that may be cut, until all fit. */
function fit(widths: number[], columns: readonly Column<never>[], room: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  for (; excess > 0; excess -= 1) {
    const cuttable = widths.map((width, i) => (columns[i]?.cuts === true && width > NARROWEST ? width : 0));
    const widest = Math.max(...cuttable);
    if (widest === 0) return;
    widths[cuttable.indexOf(widest)]! -= 1;
  }
}

/** `a long te…` */
function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (PLAIN.test(text)) return `${text.slice(0, width - 1)}…`;
  let cut = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(cut + segment) > width - 1) break;
    cut += segment;
  }
  return `${cut}…`;
}

/** Most text is plain, and told to be by one look; the library splits it into what people see as one character each. */
const PLAIN = /^[ -~]*$/;

let stringWidth: ((text: string) => number) | undefined;

/** The library is loaded for the first text that needs it: it compiles every emoji there is, which takes as long as Node's own start. */
function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  stringWidth ??= (createRequire(import.meta.url)("string-width") as typeof import("string-width")).default;
  return stringWidth(text);
}

function textOf<R>(column: Column<R>, row: R): string {
  const cell = column.of(row);
  return cell === undefined ? "" : printable(typeof cell === "number" ? count(cell) : cell);
}

/** A name may come from anywhere: nothing in it reaches the terminal but text, on one line. */
export function printable(text: string): string {
  return PLAIN.test(text) && !text.includes("  ") ? text : text.replaceAll(/\s+/g, " ").replaceAll(/\p{C}/gu, "?");
}
