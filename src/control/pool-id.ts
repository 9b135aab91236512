/** Ids of pools: to be read out, typed, and cut short as far as they stay unique. */
import { randomInt } from "node:crypto";

/** Neither letters that look like others, nor vowels, which make words. */
const LETTERS = "23456789bcdfghjkmnpqrstvwxz";
/** Two of a thousand pools get the same one once in 500,000 fleets. */
const LENGTH = 8;

export function newPoolId(): string {
  return Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}
