/** The audit trail of one prefix: a stream of what operators changed, bounded by age. */
import type { Redis } from "ioredis";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { NOW } from "./lua.ts";

/** What is written, field by field; all of it text. */
export type TrailFields = Readonly<Record<string, string>>;

export interface StoredEntry {
  readonly id: string;
  readonly fields: TrailFields;
}

/** How long entries are kept. */
export const TRAIL_MS = 90 * 86_400_000;

const PAGE = 500;

/** No queue's key: a queue's fourth part, and not its second, could be `millrace`. */
export function trailKey(prefix: string): string {
  return `${prefix}:millrace:trail`;
}

/**
 * Adds an entry, in the place of the one that said that the same change had begun.
 *
 * @returns its id: the server's instant in milliseconds, `-`, and a number
 * @throws BackendError
 */
export async function writeTrail(client: Redis, prefix: string, fields: TrailFields, replaces = ""): Promise<string> {
  return (await runScript(client, WRITE, [trailKey(prefix)], [TRAIL_MS, replaces, ...Object.entries(fields).flat()])) as string;
}

/** Entries from an instant on, oldest first, a page at a time. @throws BackendError */
export async function* readTrail(client: Redis, prefix: string, sinceMs: number): AsyncGenerator<StoredEntry, void> {
  for (let from = String(Math.max(0, sinceMs)); ; ) {
    const page = await client.xrange(trailKey(prefix), from, "+", "COUNT", PAGE).catch((error: unknown) => {
      throw asBackendError(error);
    });
    for (const [id, flat] of page) yield { id, fields: Object.fromEntries(pairs(flat)) };
    if (page.length < PAGE) return;
    from = `(${page.at(-1)![0]}`;
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, flat[i + 1] ?? ""]] : []));
}

/**
 * KEYS  trail
 * ARGV  keepMs, id of the entry that this one replaces or "", field, value, …
 * reply id
 *
 * A full Redis takes it too, since its first write needs no memory: who empties a queue there is to be seen as well.
 */
const WRITE: Script = {
  name: "trail",
  lua: `
${NOW}
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - ARGV[1]))
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
if ARGV[2] ~= '' then redis.call('XDEL', KEYS[1], ARGV[2]) end
return id
`,
};
