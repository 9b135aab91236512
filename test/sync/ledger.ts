/** What the locks of the fault test guard, and the record that is checked afterwards. Nothing of it is in Redis. */
import { writeFileSync } from "node:fs";
import { append, JournalReader, monotonicMs } from "../support/journal.ts";

/** One line of the ledger. Instants are milliseconds on the machine's monotonic clock, the same in every process. */
export interface Entry {
  readonly did: "held" | "wrote" | "was refused" | "gave back";
  readonly lock: string;
  readonly fence: number;
  readonly process: number;
  /** When the process did it. */
  readonly at: number;
  /** Until when its lease certainly lasted, as it saw it then; 0 when it was lost. */
  readonly certainUntil: number;
  /** When it was recorded. */
  readonly recordedAt: number;
}

/** Takes writes under a fence, and refuses those under a smaller one than it has seen. Every line is on disk before it answers. */
export class GuardedResource {
  readonly #path: string;
  readonly #highest = new Map<string, number>();

  constructor(path: string) {
    this.#path = path;
    writeFileSync(path, "");
  }

  record(entry: Omit<Entry, "recordedAt">): void {
    append(this.#path, { ...entry, recordedAt: monotonicMs() });
  }

  write(entry: Omit<Entry, "recordedAt" | "did">): boolean {
    const taken = entry.fence >= (this.#highest.get(entry.lock) ?? 0);
    if (taken) this.#highest.set(entry.lock, entry.fence);
    this.record({ ...entry, did: taken ? "wrote" : "was refused" });
    return taken;
  }
}

export function readLedger(path: string): readonly Entry[] {
  return new JournalReader<Entry>(path).read();
}

interface Held {
  readonly lock: string;
  readonly fence: number;
  readonly process: number;
  readonly from: number;
  until: number;
}

/**
 * Whatever contradicts mutual exclusion, one line each:
 * a fence that was given twice; two that certainly held one lock at one time; one that was refused while it certainly held.
 *
 * "Certainly" is what the holder itself could know: from when it had the lock until it gave it back, or until the last
 * lease that it knew of had run out.
 */
export function contradictions(entries: readonly Entry[]): string[] {
  const found: string[] = [];
  const holds = new Map<string, Held>();
  for (const entry of entries) {
    const { lock, fence, process, at, certainUntil } = entry;
    const name = `${lock} #${fence}`;
    const hold = holds.get(name);
    if (entry.did === "held") {
      if (hold !== undefined) found.push(`${name} was given to ${hold.process} and to ${process}`);
      holds.set(name, { lock, fence, process, from: at, until: certainUntil });
    } else if (hold === undefined || hold.process !== process) found.push(`${name}: ${process} ${entry.did} without it`);
    else if (entry.did === "gave back") hold.until = Math.min(hold.until, at);
    else hold.until = Math.max(hold.until, certainUntil);
    if (entry.did === "was refused" && certainUntil > entry.recordedAt) found.push(`${name}: ${process} was refused while it held`);
  }
  const lasting = [...holds.values()].filter((hold) => hold.until > hold.from).toSorted((a, b) => a.from - b.from);
  const latest = new Map<string, Held>();
  for (const hold of lasting) {
    const before = latest.get(hold.lock);
    if (before !== undefined && before.until > hold.from) {
      found.push(`${hold.lock}: ${hold.process} held #${hold.fence} from ${hold.from} while ${before.process} held #${before.fence} until ${before.until}`);
    }
    if (before !== undefined && before.fence > hold.fence) found.push(`${hold.lock}: #${hold.fence} was held after #${before.fence}`);
    if (before === undefined || hold.until > before.until) latest.set(hold.lock, hold);
  }
  return found;
}
