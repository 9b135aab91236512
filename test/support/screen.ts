/** What a command writes on a terminal, or elsewhere. */
import { EventEmitter } from "node:events";

/** Keeps what is written, and tells of it. */
export class Screen extends EventEmitter {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number;

  constructor(isTTY: boolean, columns: number) {
    super();
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
    this.emit("write");
  }
}
