/** A file of JSON lines that many processes append to: what happened, told outside of Redis. */
import { appendFileSync, closeSync, openSync, readSync } from "node:fs";

/** The machine's monotonic clock in milliseconds, the same in every process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One write each, at the end of the file: lines of several processes do not mix, and outlive whoever wrote them. */
export function append(path: string, line: object): void {
  appendFileSync(path, `${JSON.stringify(line)}\n`);
}

/** Reads on from where it was. */
export class JournalReader<Line> {
  readonly lines: Line[] = [];
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** All lines that are there by now. */
  read(): readonly Line[] {
    const file = openSync(this.#path, "a+");
    try {
      const chunk = Buffer.alloc(1 << 20);
      for (let read = -1, rest = Buffer.alloc(0); read !== 0; ) {
        read = readSync(file, chunk, 0, chunk.length, this.#offset + rest.length);
        const bytes = Buffer.concat([rest, chunk.subarray(0, read)]);
        const end = bytes.lastIndexOf(10) + 1;
        for (const line of bytes.toString("utf8", 0, end).split("\n")) if (line !== "") this.lines.push(JSON.parse(line) as Line);
        this.#offset += end;
        rest = bytes.subarray(end);
      }
    } finally {
      closeSync(file);
    }
    return this.lines;
  }
}
