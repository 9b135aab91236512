/** Finds the queues under a prefix: whatever has settings of BullMQ's, which every put writes, ours and stock ones. */
import type { Redis } from "ioredis";
import { asBackendError } from "../redis/errors.ts";

/**
 * Keys that one step looks at: of two million, 3.7 ms of the server. The first steps are shorter, since whoever reads the queues that
 * are known by then waits for one with each reply.
 */
const STEP = { short: 1000, long: 5000, shortUntil: 200_000 } as const;
const END = ":meta";

/**
 * The names, each once, as they are found. All keys are looked at, a step at a time.
 *
 * @param guessed  names to ask for before: those that are queues come first, in this order
 * @throws BackendError
 */
export async function* queueNames(client: Redis, prefix: string, guessed: Iterable<string> = []): AsyncGenerator<string, void> {
  const seen = new Set<string>();
  const guesses = [...new Set(guessed)].filter(isName);
  const there = await Promise.all(guesses.map((name) => client.exists(`${prefix}:${name}${END}`))).catch(toBackendError);
  for (const [i, name] of guesses.entries()) {
    if (there[i] === 0) continue;
    seen.add(name);
    yield name;
  }
  const pattern = `${prefix.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}:*${END}`;
  let looked = 0;
  for (let cursor = "0"; ; ) {
    const step = looked < STEP.shortUntil ? STEP.short : STEP.long;
    looked += step;
    const [next, keys] = await client.scan(cursor, "MATCH", pattern, "COUNT", step).catch(toBackendError);
    for (const key of keys) {
      const name = key.slice(prefix.length + 1, -END.length);
      if (!isName(name) || seen.has(name)) continue;
      seen.add(name);
      yield name;
    }
    if (next === "0") return;
    cursor = next;
  }
}

/** A colon is in no queue's name: such a key is somebody else's. */
function isName(name: string): boolean {
  return name !== "" && !name.includes(":");
}

function toBackendError(error: unknown): never {
  throw asBackendError(error);
}
