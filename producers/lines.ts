/**
 * Puts one job for each line of NDJSON, or each row of CSV, from a file or standard input:
 * `millrace produce lines --job NAME [--format ndjson|csv] [--id TEMPLATE] [--strict] [FILE]`
 *
 * Memory stays the same however long the input. A bad line is reported with its number and does not stop the others.
 * Cells of CSV are strings: a contract that wants a number takes `z.coerce.number()`.
 */

import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { parseArgs } from "node:util";
import { parse } from "csv-parse/sync";
import { type App, type Job, OptionError, PayloadError } from "millrace";
import { range, taskGroup } from "millrace/concurrency";

export interface LinesContext {
  readonly signal: AbortSignal;
  readonly stdin: Readable;
  readonly log: { info(message: string): void; warn(message: string): void };
  /** The contract of a job by its name. */
  readonly contract: (name: string) => Promise<Job>;
}

/** A value of the input and the line it begins on, counted from 1, or what is wrong there. */
export type Row = { readonly line: number; readonly value: unknown } | { readonly line: number; readonly error: string };

/** Puts on their way at once; they share round trips. */
const inFlight = 200;

/**
 * @throws OptionError, and what `contract` throws, before anything is put
 * @throws Error when lines were bad; with `--strict` at the first, and nothing after it is put
 */
export default async function produceLines(app: App, args: readonly string[], context: LinesContext): Promise<void> {
  const { job: name, file, format, id, strict } = optionsOf(args);
  const queue = app.queue(await context.contract(name));
  // Aborting ends a read that waits for a terminal or a pipe, too.
  const input = addAbortSignal(context.signal, file === "-" ? context.stdin : createReadStream(file));
  const rows = rowsOf(input, format);
  const count = { put: 0, known: 0, bad: 0 };

  const lane = async (groupSignal: AbortSignal): Promise<void> => {
    for (let next = await rows.next(); next.done !== true && !groupSignal.aborted; next = await rows.next()) {
      const bad = await put(next.value);
      if (bad === undefined) continue;
      count.bad++;
      context.log.warn(`line ${next.value.line}: ${bad}`);
      if (strict) throw new Error(`line ${next.value.line} is bad: nothing after it was put`);
    }
  };
  const put = async (row: Row): Promise<string | undefined> => {
    if ("error" in row) return row.error;
    try {
      const handle = await queue.put(row.value, id === undefined ? {} : { id: filled(id, row) });
      count[handle.added ? "put" : "known"]++;
      return undefined;
    } catch (error) {
      if (error instanceof PayloadError || error instanceof OptionError) return error.message;
      throw error;
    }
  };

  try {
    await taskGroup(async (group) => {
      // One after the other where nothing may follow a bad line.
      for (const _ of range(strict ? 1 : inFlight)) group.spawn(lane);
    });
  } catch (error) {
    context.signal.throwIfAborted();
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    input.destroy();
    context.log.info(`${count.put} put, ${count.known} there already, ${count.bad} bad`);
  }
  if (count.bad > 0) throw new Error(`${count.bad} bad ${count.bad === 1 ? "line was" : "lines were"} not put`);
}

interface LinesOptions {
  readonly job: string;
  readonly file: string;
  readonly format: "ndjson" | "csv";
  readonly id: string | undefined;
  readonly strict: boolean;
}

function optionsOf(args: readonly string[]): LinesOptions {
  const options = { job: { type: "string" }, format: { type: "string" }, id: { type: "string" }, strict: { type: "boolean", default: false } } as const;
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args: [...args], options, allowPositionals: true });
    } catch (error) {
      throw new OptionError(`${(error as Error).message}; produce lines takes --job, --format, --id, --strict and one FILE`, { cause: error });
    }
  })();
  const { job, id, strict } = values;
  const [file = "-", ...rest] = positionals;
  if (job === undefined) throw new OptionError("expected --job NAME: the job to put, of a contract in producers/jobs/");
  if (rest.length > 0) throw new OptionError(`expected one file, got ${positionals.length}`);
  const format = values.format ?? (extname(file).toLowerCase() === ".csv" ? "csv" : "ndjson");
  if (format !== "csv" && format !== "ndjson") throw new OptionError(`expected --format ndjson or csv, got ${JSON.stringify(format)}`);
  return { job, file, format, id, strict };
}

/** `order-{number}` takes the row's field, `import-7-{#}` its line. */
function filled(template: string, row: { readonly line: number; readonly value: unknown }): string {
  return template.replace(/\{(.*?)\}/g, (_, field: string) => {
    if (field === "#") return String(row.line);
    const value = typeof row.value === "object" && row.value !== null && Object.hasOwn(row.value, field) ? (row.value as Record<string, unknown>)[field] : undefined;
    if (typeof value === "string" || typeof value === "number") return String(value);
    throw new OptionError(`expected text or a number in the field ${JSON.stringify(field)}, for the job's id`);
  });
}

/** A line and its text, or what is wrong with it. */
type Line = { readonly line: number; readonly text: string } | { readonly line: number; readonly error: string };

/** Four times what a payload may have. */
const longestLine = 4 * 1024 * 1024;
const newline = 0x0a;

/** What the input holds, row by row. Empty lines are none. */
export async function* rowsOf(input: AsyncIterable<Buffer | string>, format: "ndjson" | "csv"): AsyncGenerator<Row, void> {
  const toRows = format === "csv" ? csvReader() : jsonRows;
  for await (const lines of linesOf(input)) yield* toRows(lines, false);
  yield* toRows([], true);
}

/** The lines that each piece of the input completes. Memory is bounded by the longest line. */
async function* linesOf(input: AsyncIterable<Buffer | string>): AsyncGenerator<Line[], void> {
  let line = 1;
  let begun: Buffer[] = [];
  let begunBytes = 0;
  const complete = (end: Buffer): Line => {
    const bytes = begunBytes + end.length > longestLine ? undefined : Buffer.concat([...begun, end]);
    begun = [];
    begunBytes = 0;
    return decoded(line++, bytes);
  };
  for await (const piece of input) {
    const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
    const lines: Line[] = [];
    let from = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, from)) {
      lines.push(complete(bytes.subarray(from, end)));
      from = end + 1;
    }
    begunBytes += bytes.length - from;
    if (begunBytes <= longestLine) begun.push(bytes.subarray(from));
    else begun = []; // too long already: only its end is of interest
    yield lines;
  }
  if (begunBytes > 0) yield [complete(Buffer.alloc(0))];
}

function decoded(line: number, bytes: Buffer | undefined): Line {
  if (bytes === undefined) return { line, error: `expected at most ${longestLine} bytes` };
  if (!isUtf8(bytes)) return { line, error: "expected UTF-8" };
  const text = bytes.toString();
  return { line, text: line === 1 && text.startsWith("\ufeff") ? text.slice(1) : text };
}

function* jsonRows(lines: readonly Line[]): Generator<Row, void> {
  for (const line of lines) {
    if ("error" in line) yield line;
    else if (line.text.trim() !== "") yield jsonRow(line);
  }
}

function jsonRow({ line, text }: { line: number; text: string }): Row {
  try {
    return { line, value: JSON.parse(text) };
  } catch (error) {
    return { line, error: `expected JSON: ${(error as Error).message}` };
  }
}

/**
 * Where a record ends is found here, by its quotes: a parser that meets a quote out of place cannot tell any more which
 * lines are whole, and would lose those behind it.
 */
function csvReader(): (lines: readonly Line[], ended: boolean) => Generator<Row, void> {
  let header: readonly string[] | undefined;
  let waiting: Line[] = [];

  return function* (lines, ended) {
    waiting.push(...lines);
    let from = 0;
    while (from < waiting.length) {
      const end = endOfRecord(waiting, from);
      if (end === "open" && !ended) break;
      const cells = typeof end === "number" ? cellsOf(waiting.slice(from, end)) : undefined;
      const row = rowOf(waiting[from] as Line, cells);
      if (row !== undefined) yield row;
      // Of a record that cannot be read only the first line is lost: the next may be a record of its own.
      from = cells === undefined || typeof end !== "number" ? from + 1 : end;
    }
    waiting = waiting.slice(from);
  };

  function rowOf(first: Line, cells: readonly string[] | undefined): Row | undefined {
    const { line } = first;
    if ("error" in first) return first;
    if (cells === undefined) return { line, error: "expected CSV, got a quote out of place" };
    if (cells.length === 0) return undefined;
    if (header === undefined) return void (header = checkedHeader(line, cells));
    if (cells.length !== header.length) return { line, error: `expected ${header.length} cells as in the header, got ${cells.length}` };
    return { line, value: Object.fromEntries(header.map((name, i) => [name, cells[i]])) };
  }
}

/** The index behind the record that begins at `from`: it ends with the first line at which its quotes are even. */
function endOfRecord(lines: readonly Line[], from: number): number | "open" | "broken" {
  let quotes = 0;
  let length = 0;
  for (let at = from; at < lines.length; at++) {
    const line = lines[at] as Line;
    if ("error" in line) return "broken";
    length += line.text.length;
    if (length > longestLine) return "broken";
    for (let quote = line.text.indexOf('"'); quote !== -1; quote = line.text.indexOf('"', quote + 1)) quotes++;
    if (quotes % 2 === 0) return at + 1;
  }
  return "open";
}

/** The cells of one record, none for an empty line, undefined for what is no CSV. */
function cellsOf(lines: readonly Line[]): readonly string[] | undefined {
  const text = lines.map((line) => ("text" in line ? line.text : "")).join("\n").replace(/\r$/, "");
  if (text.trim() === "") return [];
  if (!text.includes('"')) return text.split(",");
  try {
    const records = parse(text, { record_delimiter: ["\u0000"] }) as string[][];
    return records.length === 1 ? records[0] : undefined;
  } catch {
    return undefined;
  }
}

function checkedHeader(line: number, names: readonly string[]): readonly string[] {
  const odd = names.find((name, at) => name === "" || names.indexOf(name) !== at);
  if (odd === undefined) return names;
  throw new OptionError(`expected a header of distinct names in line ${line}, got ${odd === "" ? "an empty one" : `${JSON.stringify(odd)} twice`}`);
}
