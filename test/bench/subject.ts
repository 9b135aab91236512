/** What is compared: two ways to do the same on one Redis, behind one face, with one set of settings. */

/** About 200 bytes as JSON, as a small message has. */
export interface Payload {
  /** When it was put, on the clock that all processes of the machine share. */
  readonly putAtUs: number;
  readonly to: string;
  readonly body: string;
}

/** Holds a queue on behalf of one process. */
export interface Subject {
  put(payload: Payload): Promise<unknown>;
  /** The fastest way it has to put many. */
  putMany(payloads: Iterable<Payload>): Promise<unknown>;
  /** Starts to consume; the handler does nothing but tell that it was called. */
  consume(slots: number, called: (payload: Payload) => void): Promise<void>;
  close(): Promise<void>;
}

export type OpenSubject = (redisUrl: string, queueName: string) => Subject;

/** Both sides have these. Times in milliseconds. */
export const settings = {
  attempts: 3,
  leaseMs: 30_000,
  backoffBaseMs: 1000,
  keepCompleted: 1000,
  keepFailed: 10_000,
} as const;

export function payload(): Payload {
  return { putAtUs: nowUs(), to: "somebody@example.org", body: "x".repeat(130) };
}

/** Monotonic, and the same for every process of this machine. */
export function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
