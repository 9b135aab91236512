/**
 * What a command writes: results to standard output, everything else to standard error.
 *
 * With `--json` a result is one line of JSON, and so are errors and warnings: `{"error":{"code","message"}}`.
 */
import { once } from "node:events";
import { maskSecrets } from "../config.ts";
import { MillraceError } from "../errors.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import { tableLines, type Column } from "./table.ts";
import { wrapped } from "./wrapped.ts";

export class Output {
  readonly json: boolean;
  /** Whether errors come with their stack, which only helps who can change the code. */
  readonly stacks: boolean;

  constructor(options: { readonly json: boolean; readonly stacks?: boolean }) {
    this.json = options.json;
    this.stacks = options.stacks ?? false;
  }

  /**
   * Writes one result: `text` for people, or `value` with `--json`. Text that is undefined is not written.
   * Resolves when there is room for more.
   */
  async result(text: string | undefined, value: object): Promise<void> {
    const line = this.json ? JSON.stringify(value) : text;
    if (line === undefined || process.stdout.destroyed) return;
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, "drain").catch(() => undefined); // what broke, its listener knows
  }

  /**
   * Writes rows as they come: a table for people, one line of JSON each with `--json`.
   *
   * @param none   said to people, beside the results, where there is no row
   * @param below  a line of its own after a row, for people
   * @returns how many there were
   */
  async rows<R extends object>(rows: AsyncIterable<R> | Iterable<R>, columns: readonly Column<R>[], none: string, below?: (row: R) => string | undefined): Promise<number> {
    if (this.json) return this.records(rows, none);
    let count = 0;
    const lines = new Lines();
    const counted = async function* (): AsyncGenerator<R, void> {
      for await (const row of rows) {
        count += 1;
        yield row;
      }
    };
    for await (const line of tableLines(counted(), columns, process.stdout, below)) await lines.add(line);
    await lines.flush();
    if (count === 0) process.stderr.write(`${none}\n`);
    return count;
  }

  /** As `rows`, but one line of JSON each, with `--json` and without. */
  async records(rows: AsyncIterable<object> | Iterable<object>, none: string): Promise<number> {
    let count = 0;
    const lines = new Lines();
    for await (const row of rows) {
      count += 1;
      await lines.add(JSON.stringify(row));
    }
    await lines.flush();
    if (count === 0 && !this.json) process.stderr.write(`${none}\n`);
    return count;
  }

  warning(message: string): void {
    this.#aside("warning", { message: maskSecrets(message) });
  }

  error(error: unknown): void {
    this.#aside("error", describe(error), this.stacks || !speaksForItself(error) ? stackOf(error) : undefined);
  }

  #aside(kind: "warning" | "error", facts: { readonly message: string }, stack?: string): void {
    const text = this.json ? JSON.stringify({ [kind]: facts }) : `${readable(`${kind}: ${facts.message}`)}${stack === undefined ? "" : `\n${maskSecrets(stack)}`}`;
    process.stderr.write(`${text}\n`);
  }
}

/** On a terminal no word is broken; elsewhere a message is one line. */
function readable(text: string): string {
  const { isTTY, columns } = process.stderr;
  return isTTY ? text.split("\n").flatMap((line) => wrapped(line, columns || 80)).join("\n") : text;
}

/** Lines to standard output, many in one write: those that come together, and none later than the event loop turns. */
class Lines {
  #text = "";
  #isDue = false;

  /** Resolves when there is room for more. */
  add(line: string): Promise<void> | undefined {
    this.#text += `${line}\n`;
    if (this.#text.length >= MOST_AT_ONCE) return this.flush();
    if (!this.#isDue) setImmediate(() => void this.flush());
    this.#isDue = true;
    return undefined;
  }

  async flush(): Promise<void> {
    this.#isDue = false;
    const text = this.#text;
    this.#text = "";
    if (text === "" || process.stdout.destroyed) return;
    if (!process.stdout.write(text)) await once(process.stdout, "drain").catch(() => undefined); // what broke, its listener knows
  }
}

const MOST_AT_ONCE = 65_536;

/** The stable face of an error: its code, `FAILED` where it has none, and its message. */
export function describe(error: unknown): { readonly code: string; readonly message: string } {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" ? code : "FAILED",
    message: maskSecrets(code === "NO_REDIS" ? NO_REDIS : typeof message === "string" && message !== "" ? message : String(error)),
  };
}

/** The error's own words are for code; here there are flags. */
const NO_REDIS = "expected where Redis is: give --redis URL, or set REDIS_URL; `millrace redis start` starts one for this folder";

/** Errors of Millrace and of the system say what to do in their message. What the user's own code threw needs its place. */
function speaksForItself(error: unknown): boolean {
  return error instanceof MillraceError || exitCodeOf(error) !== EXIT.failed || typeof (error as { syscall?: unknown } | null)?.syscall === "string";
}

function stackOf(error: unknown): string | undefined {
  const stack = (error as { stack?: unknown } | null | undefined)?.stack;
  return typeof stack === "string" ? stack.split("\n").filter((line) => /^\s+at /.test(line)).join("\n") || undefined : undefined;
}
