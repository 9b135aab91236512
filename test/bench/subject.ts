/** What is compared: several ways to do the same work, each behind one face and with the same settings. */

/** A small message: about 200 bytes as JSON, unless a measure wants more. */
export interface Payload {
  /** When it was put, on the clock that all processes of the machine share. */
  readonly putAtUs: number;
  readonly to: string;
  readonly body: string;
}

/** What a subject is opened for. */
export interface Setting {
  readonly queues: readonly string[];
  /** Tasks that run at once, over all queues. */
  readonly slots: number;
  /** Completed jobs that are kept. */
  readonly keep: number;
  /** Whether payloads are checked against a schema, where the subject has such a thing. */
  readonly schema: boolean;
}

/** Its queues, on behalf of one process. */
export interface Opened {
  /** Into the first queue. */
  put(payload: Payload): Promise<unknown>;
  /** Into each queue, the fastest way it has to put many. */
  putMany(payloads: () => Iterable<Payload>): Promise<unknown>;
  /** Starts to consume. */
  consume(handle: Handle): Promise<void>;
  /** Lets what runs end, and what has ended be acknowledged. */
  close(): Promise<void>;
}

export type Handle = (payload: Payload) => void | Promise<void>;

/** Jobs by state, over all queues. */
export interface Counts {
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
}

export interface Subject {
  /** The server that it stands on. */
  readonly store: "redis" | "postgres";
  /** How it is set up, and what survives what: stands below the table. */
  readonly notes: string;
  open(url: string, setting: Setting): Promise<Opened>;
  count(url: string, queues: readonly string[]): Promise<Counts>;
}

export const subjects = {
  millrace: async () => (await import("./subjects/millrace.ts")).millrace,
  stock: async () => (await import("./subjects/stock.ts")).stock,
  "drop-in": async () => (await import("./subjects/stock.ts")).dropIn,
  "bee-queue": async () => (await import("./subjects/bee-queue.ts")).beeQueue,
  "pg-boss": async () => (await import("./subjects/pg-boss.ts")).pgBoss,
  "graphile-worker": async () => (await import("./subjects/graphile-worker.ts")).graphileWorker,
  streams: async () => (await import("./subjects/streams.ts")).streams,
  untold: async () => (await import("./subjects/untold.ts")).untold,
  unseen: async () => (await import("./subjects/unseen.ts")).unseen,
  scraped: async () => (await import("./subjects/scraped.ts")).scraped,
} satisfies Record<string, () => Promise<Subject>>;

export type SubjectName = keyof typeof subjects;

/** What a table calls them. */
export const titles: Readonly<Record<SubjectName, string>> = {
  millrace: "Millrace",
  stock: "BullMQ",
  "drop-in": "BullMQ with our backend",
  "bee-queue": "bee-queue",
  "pg-boss": "pg-boss",
  "graphile-worker": "graphile-worker",
  streams: "Redis Streams",
  untold: "Millrace without telemetry",
  unseen: "Millrace without control",
  scraped: "Millrace with metrics on",
};

/** All subjects that can have them have these. Times in milliseconds. */
export const settings = {
  attempts: 3,
  leaseMs: 30_000,
  backoffBaseMs: 1000,
  keepFailed: 10_000,
} as const;

/** What all have that put many at once in calls of their own: larger ones gain nothing, the server is blocked and replies grow. */
const CHUNK = 1000;

export function* chunks<T>(items: Iterable<T>): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    if (chunk.push(item) < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** @param bytes  its length as JSON, nearly */
export function payload(bytes: number): Payload {
  return { putAtUs: nowUs(), to: "somebody@example.org", body: "x".repeat(bytes - 70) };
}

/** Monotonic, and the same for every process of this machine. */
export function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
