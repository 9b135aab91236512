/** The children of a job: those that it waits for, and those that have ended. */
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Children {
  /** `prefix:queue:id` each; at most so many as were asked for. */
  readonly keys: readonly string[];
  readonly total: number;
}

/** @throws BackendError */
export async function readChildren({ client, keys }: StoredQueue, id: string, most: number): Promise<Children> {
  const key = keys.base + id;
  try {
    const [pending, processed, failed, unsuccessful] = await Promise.all([
      client.sscan(`${key}:dependencies`, "0", "COUNT", most),
      client.hscan(`${key}:processed`, "0", "COUNT", most),
      client.hscan(`${key}:failed`, "0", "COUNT", most),
      client.zrange(`${key}:unsuccessful`, "0", String(most - 1)),
    ]);
    const fields = ([, flat]: [string, string[]]): string[] => flat.filter((_, i) => i % 2 === 0);
    const found = [...new Set([...pending[1], ...fields(processed), ...fields(failed), ...unsuccessful])];
    const sizes = await Promise.all([client.scard(`${key}:dependencies`), client.hlen(`${key}:processed`), client.hlen(`${key}:failed`), client.zcard(`${key}:unsuccessful`)]);
    return { keys: found.slice(0, most), total: Math.max(found.length, sizes.reduce((sum, size) => sum + size, 0)) };
  } catch (error) {
    throw asBackendError(error);
  }
}

export interface ChildReport {
  readonly name: string;
  readonly parentKey: string | undefined;
}

/** @returns undefined when there is no such job. @throws BackendError */
export async function readLink({ client, keys }: StoredQueue, id: string): Promise<ChildReport | undefined> {
  try {
    const [name, parentKey] = await client.hmget(keys.base + id, "name", "parentKey");
    return typeof name === "string" ? { name, parentKey: parentKey || undefined } : undefined;
  } catch (error) {
    throw asBackendError(error);
  }
}
