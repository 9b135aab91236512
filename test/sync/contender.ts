/**
 * A process that takes locks again and again, and writes to what they guard, until it is ended.
 * Its parent is the resource: it gets every write as a message and answers whether it was taken.
 *
 *     node contender.ts <url> <prefix> <locks, separated by commas> <lease ms>
 */
import { setTimeout as delay } from "node:timers/promises";
import { BackendError, MillraceError } from "../../src/errors.ts";
import { createLog } from "../../src/log.ts";
import { Connections } from "../../src/redis/connection.ts";
import type { Hold } from "../../src/sync/hold.ts";
import { Hub } from "../../src/sync/hub.ts";
import { lock } from "../../src/sync/lock.ts";
import { monotonicMs } from "../support/journal.ts";
import type { Entry } from "./ledger.ts";

/** What a contender says: that it is there, or what it does. A write has a number, and is answered. */
export type Said = { readonly ready: true } | { readonly entry: Omit<Entry, "recordedAt">; readonly write?: number } | { readonly error: string };
export type Answer = { readonly go: true } | { readonly write: number; readonly taken: boolean };

const [url = "", prefix = "", locks = "", leaseMs = ""] = process.argv.slice(2);
const hub = new Hub(new Connections(url, {}), prefix, createLog({ level: "error" }));
const answers = new Map<number, (taken: boolean) => void>();
let writes = 0;

process.on("disconnect", () => process.exit());
process.on("message", (answer: Answer) => {
  if ("go" in answer) for (const name of locks.split(",")) void contend(name).catch((error: unknown) => say({ error: String(error) }));
  else answers.get(answer.write)?.(answer.taken);
});
say({ ready: true });

async function contend(name: string): Promise<never> {
  for (;;) {
    try {
      await using hold = await lock(hub, name, { lease: Number(leaseMs), timeout: 1 + Math.random() * 3000 });
      say({ entry: entry(name, "held", hold) });
      await use(name, hold);
      say({ entry: entry(name, "gave back", hold) });
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error instanceof BackendError) await delay(20);
    }
  }
}

/** The careful one stops as soon as its signal fires; the other goes on until it is refused, as one that cannot know yet. */
async function use(name: string, hold: Hold): Promise<void> {
  const careful = Math.random() < 0.5;
  for (let left = Math.floor(Math.random() * 6); left >= 0; left -= 1) {
    if (careful && hold.signal.aborted) return;
    if (!(await write(name, hold))) return;
    await delay(Math.random() * 30);
  }
}

function write(name: string, hold: Hold): Promise<boolean> {
  writes += 1;
  const number = writes;
  return new Promise((resolve) => {
    answers.set(number, (taken) => {
      answers.delete(number);
      resolve(taken);
    });
    say({ entry: entry(name, "wrote", hold), write: number });
  });
}

function entry(name: string, did: Entry["did"], hold: Hold): Omit<Entry, "recordedAt"> {
  const at = monotonicMs(); // before the rest is read, so that the sum is not too late
  const { remainingMs } = hold;
  return { did, lock: name, fence: hold.fence, process: process.pid, at, certainUntil: remainingMs > 0 ? at + remainingMs : 0 };
}

function say(said: Said): void {
  process.send?.(said);
}
