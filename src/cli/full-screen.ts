/** The terminal of this process as one screen that is drawn anew: in raw mode, on the other page, and left as it was found. */
import { writeSync } from "node:fs";
import { emitKeypressEvents } from "node:readline";

/** A key by its name: `q`, `up`, `tab`, `ctrl-c`, `+`. */
export type OnKey = (key: string) => void;

const OTHER_PAGE = { enter: "\u001b[?1049h\u001b[?25l", leave: "\u001b[?25h\u001b[?1049l" };
const HOME = "\u001b[H";
const REST_OF_LINE = "\u001b[K";
const REST_OF_PAGE = "\u001b[J";
/** Of a terminal that does not tell. */
const USUAL = { columns: 80, rows: 24 };

export class FullScreen implements Disposable {
  readonly #onKey: OnKey;
  readonly #onResize: () => void;
  #isOpen = true;

  /** @param onResize  the screen is of another size, and to be drawn anew */
  constructor(onKey: OnKey, onResize: () => void) {
    const { stdin, stdout } = process;
    this.#onKey = onKey;
    this.#onResize = onResize;
    process.once("exit", this.#leave);
    stdout.write(OTHER_PAGE.enter);
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on("keypress", this.#hear).resume();
    stdout.on("resize", onResize);
  }

  get columns(): number {
    return process.stdout.columns || USUAL.columns;
  }

  get rows(): number {
    return process.stdout.rows || USUAL.rows;
  }

  /** @param lines  no more than there are rows, none wider than there are columns */
  draw(lines: readonly string[]): void {
    if (this.#isOpen) process.stdout.write(`${HOME}${lines.slice(0, this.rows).map((line) => line + REST_OF_LINE).join("\r\n")}${REST_OF_PAGE}`);
  }

  /** Leaves the terminal as it was found. */
  [Symbol.dispose](): void {
    this.#leave();
  }

  readonly #hear = (text: string | undefined, key: { readonly name?: string; readonly ctrl?: boolean } | undefined): void => {
    const name = key?.name ?? text ?? "";
    this.#onKey(key?.ctrl === true ? `ctrl-${name}` : name);
  };

  /** Written at once: whatever ends the process, this goes before. */
  readonly #leave = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off("exit", this.#leave);
    process.stdout.off("resize", this.#onResize);
    process.stdin.off("keypress", this.#hear).pause();
    try {
      process.stdin.setRawMode(false);
      writeSync(process.stdout.fd, OTHER_PAGE.leave);
    } catch {
      // The terminal is gone.
    }
  };
}
