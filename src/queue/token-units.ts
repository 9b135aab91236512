/**
 * A token as the units of text that the lease table stores, noted once for all leases of its batch.
 *
 * To read a text that was put together unit by unit costs more than all else that is noted of a lease: from the parts
 * of a token its base is read once for all batches, and its number is written digit by digit.
 */
import type { BatchToken } from "../store/reserve.ts";

export class TokenUnits {
  units = new Uint16Array(64);
  length = 0;
  #text = "";
  /** What the units begin with. */
  #base = "";

  /** Notes the token of a batch that begins. */
  begin({ text, base, number }: BatchToken): void {
    this.#text = text;
    this.#reserve(text.length);
    if (base !== this.#base) {
      this.#base = base;
      copyText(base, this.units, 0);
    }
    this.length = text.length;
    for (let at = text.length - 1, rest = number; at >= base.length; at -= 1) {
      const others = Math.floor(rest / 10);
      this.units[at] = ZERO + (rest - 10 * others);
      rest = others;
    }
  }

  /** Notes this one, unless it is the one that is noted. */
  note(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    this.#base = "";
    this.#reserve(text.length);
    this.length = text.length;
    copyText(text, this.units, 0);
  }

  #reserve(length: number): void {
    if (length <= this.units.length) return;
    this.units = new Uint16Array(2 * length);
    this.#base = "";
  }
}

const ZERO = 48;

export function copyText(text: string, units: Uint16Array, at: number): void {
  for (let i = 0; i < text.length; i += 1) units[at + i] = text.charCodeAt(i);
}
