/** The servers that subjects stand on: each of a benchmark's own, and gone when it is over. */
import type { Side } from "./measure.ts";
import { openPostgres } from "./postgres-store.ts";
import { openRedis } from "./redis-store.ts";
import { type Subject, subjects } from "./subject.ts";

export interface Store extends AsyncDisposable {
  readonly url: string;
  readonly version: string;
  /** Removes all that is stored. */
  reset(): Promise<void>;
  /** CPU that it has taken since its start, in microseconds. */
  cpuUs(): Promise<number>;
  /** Bytes that it holds. */
  memory(): Promise<number>;
}

export interface Stores extends AsyncDisposable {
  readonly all: readonly Store[];
  /** Undefined where there is no such server on this machine. */
  of(side: Side): Promise<Store | undefined>;
}

/** Opens what these sides need. */
export async function openStores(sides: readonly Side[], redisSettings: Readonly<Record<string, string>>): Promise<Stores> {
  const kindOf = async ({ subject }: Side): Promise<Subject["store"]> => (await subjects[subject]()).store;
  const kinds = new Set(await Promise.all(sides.map(kindOf)));
  const redis = kinds.has("redis") ? await openRedis(redisSettings) : undefined;
  const postgres = kinds.has("postgres") ? await openPostgres() : undefined;
  const all = [redis, postgres].filter((store) => store !== undefined);
  return {
    all,
    of: async (side) => ({ redis, postgres })[await kindOf(side)],
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((store) => store[Symbol.asyncDispose]()));
    },
  };
}
