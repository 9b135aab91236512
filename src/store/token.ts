/** By what a lease of ours is known: whoever holds one has a token that begins with twelve random characters, where BullMQ's workers have a UUID. */
import { randomBytes } from "node:crypto";

/** Of a token by itself, or of many that are numbered: `base:1`, `base:2`… */
export function newTokenBase(): string {
  return randomBytes(9).toString("base64url");
}

const BASE = "[%w_-]".repeat(12);

/** `isOurs(token)`, of the value of a job's lock. */
export const IS_OURS = `
local function isOurs(token) return string.match(token, '^${BASE}$') or string.match(token, '^${BASE}:%d+$') end
`;
