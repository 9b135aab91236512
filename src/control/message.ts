/**
 * What is said between an operator and running pools, as text on a channel.
 *
 * A message carries when it was sent, by the server's clock: who hears it too late, because its process was stopped or its
 * loop was blocked, leaves it alone, since the operator has been told by then that it did not answer.
 *
 * An answer may be long, a profile for one; it comes in parts.
 */
import { cut } from "./pool-entry.ts";

export interface Message {
  readonly id: string;
  readonly verb: string;
  readonly args: unknown;
  /** Ids of pools; null is all of them. */
  readonly to: readonly string[] | null;
}

/** What a pool says to a message. */
export type Answer =
  /** It has heard, and says more when it is done. */
  | { readonly kind: "begun" }
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

interface Part {
  readonly from: string;
  readonly name: string;
  readonly part: number;
  readonly parts: number;
  readonly text: string;
}

/** Below what a server holds back for a slow reader before it ends his connection (32 MB), and what it sends at once. */
const PART_LENGTH = 100_000;
const LONGEST_ANSWER = 16_000_000;

/** The server's clock stands before it: see the script that sends. */
export function encodeMessage(message: Message): string {
  return JSON.stringify(message);
}

/** @returns `undefined` for what is no message of ours */
export function decodeMessage(text: string): (Message & { readonly sentAt: number }) | undefined {
  const space = text.indexOf(" ");
  const sentAt = Number(text.slice(0, space));
  const message = parsed(text.slice(space + 1)) as Partial<Message> | undefined;
  if (space < 1 || !Number.isFinite(sentAt) || typeof message?.id !== "string" || typeof message.verb !== "string") return undefined;
  return { ...(message as Message), sentAt };
}

export function encodeAnswer(pool: { readonly id: string; readonly name: string }, answer: Answer): string[] {
  const whole = JSON.stringify(answer);
  const text = whole.length <= LONGEST_ANSWER ? whole : JSON.stringify(tooLong(whole.length));
  const parts = Math.ceil(text.length / PART_LENGTH);
  return Array.from({ length: parts }, (_, part) => {
    const one: Part = { from: pool.id, name: cut(pool.name), part, parts, text: text.slice(part * PART_LENGTH, (part + 1) * PART_LENGTH) };
    return JSON.stringify(one);
  });
}

/** Puts the parts of one pool's answers together; they come in order, or not at all. */
export class AnswerParts {
  readonly #begun = new Map<string, string[]>();

  /** @returns the answer whose last part this is; of another part, that it has begun */
  take(text: string): { readonly from: string; readonly name: string; readonly answer: Answer } | undefined {
    const part = parsed(text) as Part | undefined;
    if (typeof part?.from !== "string") return undefined;
    const texts = part.part === 0 ? [] : this.#begun.get(part.from);
    if (texts?.length !== part.part) return undefined;
    texts.push(part.text);
    if (texts.length < part.parts) {
      this.#begun.set(part.from, texts);
      return { from: part.from, name: part.name, answer: { kind: "begun" } };
    }
    this.#begun.delete(part.from);
    const answer = parsed(texts.join("")) as Answer | undefined;
    return answer && { from: part.from, name: part.name, answer };
  }
}

function tooLong(length: number): Answer {
  return { kind: "error", code: "FAILED", message: `the answer has ${length} characters, and at most ${LONGEST_ANSWER} are sent: ask for less` };
}

/** Anybody may say anything on a channel. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
