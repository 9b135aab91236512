/** Which errors are one: the same but for the numbers and ids in them. */
import { createHash } from "node:crypto";

const LONGEST = 300;

/** `connect ECONNREFUSED 10.0.0.7:6379` and its like are all `connect ECONNREFUSED <n>:<n>`. The first line counts. */
export function errorPattern(reason: string | undefined): string {
  const [line = ""] = (reason ?? "").trimStart().slice(0, LONGEST).split("\n");
  return line
    .replaceAll(/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/gi, "<id>")
    .replaceAll(/(?<![\w-])(?=[\w-]*\d)[\w-]{16,}(?![\w-])/g, "<id>") // ours, nanoid's, Stripe's: long, and with a digit
    .replaceAll(/\b(?:0x[\da-f]+|(?=[a-f]*\d)[\da-f]{8,})\b/gi, "<id>")
    .replaceAll(/\d+(?:[.,]\d+)*/g, "<n>")
    .trim();
}

/** A short name for a group, to be typed: of jobs of one name that failed by one pattern. The same everywhere. */
export function groupOf(name: string, reason: string | undefined): string {
  return createHash("sha256").update(`${name}\n${errorPattern(reason)}`).digest("hex").slice(0, 8);
}
