/** What contracts redact, noted in the queue's meta: an operator reads it there, without the contract. */
import type { JobDefinition } from "../job/definition.ts";
import { BackendError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Of a queue's meta; the job's name follows. */
const REDACT_FIELD = "millrace.redact:";

/** Of a contract: the name of its jobs, and what is redacted in them. */
export type Redacting = Pick<JobDefinition, "name" | "redact">;

const noted = new WeakMap<StoredQueue, Map<string, Promise<void>>>();

/** Notes what each of them redacts, once a process and queue. It stays when no contract says so any more. @throws BackendError, BackendFullError */
export async function noteRedactions(queue: StoredQueue, definitions: readonly Redacting[]): Promise<void> {
  for (const { name, redact } of definitions) if (redact !== undefined && redact.length > 0) await noteRedaction(queue, name, redact);
}

/** What one lane of puts has to note before it sends its next job: until then anybody could read that. */
export class DueRedactions {
  readonly #due = new Set<Redacting>();
  readonly #noted = new WeakSet<Redacting>();

  get areDue(): boolean {
    return this.#due.size > 0;
  }

  add(contract: Redacting): void {
    if (!this.#noted.has(contract)) this.#due.add(contract);
  }

  /** @throws BackendError, BackendFullError: no job has been sent */
  async note(queue: StoredQueue): Promise<void> {
    const contracts = [...this.#due];
    try {
      await noteRedactions(queue, contracts);
    } catch (error) {
      // Whether the note was written does not matter: it may be again.
      throw error instanceof BackendError && error.mayHaveRun ? new BackendError(error.message, { cause: error, mayHaveRun: false }) : error;
    }
    for (const contract of contracts) {
      this.#noted.add(contract);
      this.#due.delete(contract);
    }
  }
}

function noteRedaction(queue: StoredQueue, name: string, redact: readonly string[]): Promise<void> {
  const ofQueue = noted.get(queue) ?? new Map<string, Promise<void>>();
  noted.set(queue, ofQueue);
  let noting = ofQueue.get(name);
  if (noting === undefined) {
    noting = write(queue, name, redact).catch((error: unknown) => {
      ofQueue.delete(name);
      throw asBackendError(error);
    });
    ofQueue.set(name, noting);
  }
  return noting;
}

async function write({ client, keys }: StoredQueue, name: string, redact: readonly string[]): Promise<void> {
  await client.hset(keys.meta, REDACT_FIELD + name, JSON.stringify(redact));
}

/** What is redacted in jobs of each name. @throws BackendError */
export async function readRedactions({ client, keys }: StoredQueue): Promise<ReadonlyMap<string, readonly string[]>> {
  try {
    const meta = Object.entries(await client.hgetall(keys.meta));
    return new Map(meta.flatMap(([field, text]) => (field.startsWith(REDACT_FIELD) ? [[field.slice(REDACT_FIELD.length), JSON.parse(text) as string[]] as const] : [])));
  } catch (error) {
    throw asBackendError(error);
  }
}

/** For jobs that come from another queue: what was redacted there is so here, unless this one has notes of its own. @throws BackendError, BackendFullError */
export async function writeRedactions({ client, keys }: StoredQueue, redactions: Iterable<readonly [name: string, paths: readonly string[]]>): Promise<void> {
  try {
    for (const [name, paths] of redactions) await client.hsetnx(keys.meta, REDACT_FIELD + name, JSON.stringify(paths));
  } catch (error) {
    throw asBackendError(error);
  }
}

/** The paths that are redacted in jobs of this name. @throws BackendError */
export async function readRedaction({ client, keys }: StoredQueue, name: string): Promise<readonly string[]> {
  try {
    const text = await client.hget(keys.meta, REDACT_FIELD + name);
    return text === null ? [] : (JSON.parse(text) as string[]);
  } catch (error) {
    throw asBackendError(error);
  }
}
