/** Finds the queues under a prefix: whatever has settings of BullMQ's, which every put writes, ours and stock ones. */
import type { Redis } from "ioredis";
import { asBackendError } from "../redis/errors.ts";

/** Keys that one step looks at: of two million, 3.7 ms of the server. */
const STEP = 5000;

/**
 * The names, each once, as they are found. All keys are looked at, a step at a time.
 *
 * @throws BackendError
 */
export async function* queueNames(client: Redis, prefix: string): AsyncGenerator<string, void> {
  const seen = new Set<string>();
  const end = ":meta";
  const pattern = `${prefix.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}:*${end}`;
  for (let cursor = "0"; ; ) {
    const [next, keys] = await client.scan(cursor, "MATCH", pattern, "COUNT", STEP).catch((error: unknown) => {
      throw asBackendError(error);
    });
    for (const key of keys) {
      const name = key.slice(prefix.length + 1, -end.length);
      // A colon is in no queue's name: such a key is somebody else's.
      if (name === "" || name.includes(":") || seen.has(name)) continue;
      seen.add(name);
      yield name;
    }
    if (next === "0") return;
    cursor = next;
  }
}
