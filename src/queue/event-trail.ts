/** What the queue's event stream still tells of jobs that are no longer in Redis: a job that is not kept leaves its result there and nowhere else. */
import { reasonOfCancel } from "../job/state.ts";
import type { JobReport } from "../store/inspect.ts";
import type { StoredQueue } from "../store/stored-queue.ts";

/** How a job ended. `removed`: it was, before it ended. `unknown`: it is not there, and nothing tells what became of it. */
export type Ending = Extract<JobReport, { state: "completed" | "failed" | "cancelled" | "removed" }> | { readonly state: "unknown" };

/** A stream entry's fields by name. */
export type QueueEvent = ReadonlyMap<string, string>;

/** What may follow the end of a job in its trail. Anything else says that it went on. */
const AFTERMATH: ReadonlySet<string | undefined> = new Set(["removed", "retries-exhausted", "duplicated", "deduplicated", "debounced", "progress"]);
const PAGE = 1000;

export function readEvent(fields: readonly string[]): QueueEvent {
  const event = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) event.set(fields[i]!, fields[i + 1]!);
  return event;
}

/**
 * How each of these jobs ended, that are not there any more, read from the newest event back.
 *
 * The stream loses its oldest events first: where it still tells of a job, it tells of all that came after that. So one
 * that went on last, and is gone, was removed.
 */
export async function endingsInTrail(queue: StoredQueue, ids: readonly string[]): Promise<ReadonlyMap<string, Ending>> {
  const found = new Map<string, Ending>();
  const attempts = new Map<string, number>();
  const removed = new Set<string>();
  const wanted = new Set(ids);
  for (let before = "+"; wanted.size > 0; ) {
    const page = await queue.client.xrevrange(queue.keys.events, before, "-", "COUNT", PAGE);
    for (const [, fields] of page) {
      const event = readEvent(fields);
      const id = event.get("jobId");
      if (id === undefined || !wanted.has(id)) continue;
      if (event.get("event") === "retries-exhausted") attempts.set(id, Number(event.get("attemptsMade")));
      if (event.get("event") === "removed") removed.add(id);
      if (AFTERMATH.has(event.get("event"))) continue;
      wanted.delete(id);
      found.set(id, endingOf(event, attempts.get(id) ?? 1));
    }
    if (page.length < PAGE) break;
    before = `(${page.at(-1)![0]}`;
  }
  for (const id of wanted) found.set(id, { state: removed.has(id) ? "removed" : "unknown" });
  return found;
}

function endingOf(event: QueueEvent, attempts: number): Ending {
  if (event.get("event") === "completed") return { state: "completed", result: event.get("returnvalue") };
  if (event.get("event") !== "failed") return { state: "removed" };
  const reason = event.get("failedReason") ?? "";
  const cancelled = reasonOfCancel(reason);
  return cancelled === undefined ? { state: "failed", reason, attempts } : { state: "cancelled", reason: cancelled, attempts };
}
