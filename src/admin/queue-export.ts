/** Writes out a queue, line by line: every job with its state, order, attempts, times, results and failures. */
import type { JobState } from "../job/state.ts";
import { placesOf, readRecords } from "../store/job-records.ts";
import { partitionsOf } from "../store/partitions.ts";
import { readSchedules, readSettings } from "../store/queue-records.ts";
import { walk } from "../store/walk.ts";
import type { ExportLine } from "./export-line.ts";
import type { Operator } from "./operator.ts";

export type { ExportLine };

/** Forwards, as a job goes: one that moves on meanwhile is met again, and not missed. */
const ORDER: readonly JobState[] = ["waiting-children", "delayed", "prioritized", "waiting", "active", "failed", "completed"];
const READ_AT_ONCE = 100;

/**
 * The lines of an export, in constant memory. Exact of a queue that rests; of one that moves, a job may be met twice, which an
 * import takes once, and one that is given back or retried may be missed.
 *
 * @throws OptionError before any I/O; NotFoundError; BackendError
 */
export function exportQueue(operator: Operator, name: string): AsyncIterable<ExportLine> {
  operator.queue(name);
  return (async function* lines() {
    const queue = await operator.existing(name);
    yield { kind: "queue", format: 1, queue: name, at: operator.connections.clock.now(), settings: await readSettings(queue) };
    let jobs = 0;
    let schedules = 0;
    for (const part of await partitionsOf(queue)) {
      for (const schedule of await readSchedules(part)) {
        yield { kind: "schedule", ...schedule };
        schedules += 1;
      }
      for (const state of ORDER) {
        const pages = walk(part, state);
        for (let page = await pages.next(); page.length > 0; page = await pages.next()) {
          for (let from = 0; from < page.length; from += READ_AT_ONCE) {
            const ids = page.slice(from, from + READ_AT_ONCE).map(({ id }) => id);
            for (const record of await readRecords(part, await placesOf(part, state, ids))) {
              yield { kind: "job", ...record };
              jobs += 1;
            }
          }
        }
      }
    }
    yield { kind: "end", jobs, schedules };
  })();
}
