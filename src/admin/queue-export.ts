/** Writes out a queue, line by line: every job with its state, order, attempts, times, results and failures. */
import type { JobState } from "../job/state.ts";
import { placesOf, readRecords, type JobRecord } from "../store/job-records.ts";
import { partitionsOf } from "../store/partitions.ts";
import { readSchedules } from "../store/schedule-records.ts";
import { readShares, wholeOf } from "../store/settings-shares.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { walk } from "../store/walk.ts";
import { check, checkOptions } from "../options.ts";
import type { ExportLine } from "./export-line.ts";
import { MaskedLines, redactionsOf } from "./masked-lines.ts";
import type { Operator } from "./operator.ts";
import { readAhead } from "./read-ahead.ts";

export type { ExportLine };

/** Forwards, as a job goes: one that moves on meanwhile is met again, and not missed. */
const ORDER: readonly JobState[] = ["waiting-children", "delayed", "prioritized", "waiting", "active", "failed", "completed"];
const READ_AT_ONCE = 100;

export interface ExportOptions {
  /** Writes out what contracts redact, too, and notes in the trail that somebody asked for it. @default false */
  readonly unmasked?: boolean;
}

/**
 * The lines of an export, in constant memory. What contracts redact is `***`; lines in which that is so say it, and cannot be
 * imported. Exact of a queue that rests; of one that moves, a job may be met twice, which an
 * import takes once, and one that is given back or retried may be missed.
 *
 * @throws OptionError before any I/O, ReadOnlyError of an unmasked one; NotFoundError; BackendError
 */
export function exportQueue(operator: Operator, name: string, options?: ExportOptions): AsyncIterable<ExportLine> {
  const { unmasked = false } = checkOptions("exportQueue", options, { unmasked: check.boolean() });
  operator.queue(name);
  // Who may only look may not write to the trail that they have seen it.
  if (unmasked) operator.assertMayChange("queue export --unmasked");
  return (async function* lines() {
    const queue = unmasked ? await operator.change({ command: "queue export", target: name, details: { unmasked } }, () => operator.existing(name)) : await operator.existing(name);
    const parts = await partitionsOf(queue);
    const redact = await redactionsOf(parts);
    const redacts = Object.keys(redact).length > 0;
    const mask = new MaskedLines(operator, parts, redact);
    const seen = (line: ExportLine): ExportLine | Promise<ExportLine> => (unmasked ? line : mask.masked(line));
    const shares = await readShares(parts);
    const settings = { settings: wholeOf(shares).settings, ...(shares.length > 1 && { shares }) };
    yield { kind: "queue", format: 1, queue: name, at: operator.connections.clock.now(), ...settings, ...(redacts && { redact, ...(!unmasked && { masked: true }) }) };
    let jobs = 0;
    let schedules = 0;
    for (const part of parts) {
      for (const schedule of await readSchedules(part)) {
        yield seen({ kind: "schedule", ...schedule });
        schedules += 1;
      }
      for await (const records of readAhead(recordsOf(part))) {
        for (const record of records) {
          yield seen({ kind: "job", ...record });
          jobs += 1;
        }
      }
    }
    yield { kind: "end", jobs, schedules };
  })();
}

async function* recordsOf(part: StoredQueue): AsyncGenerator<JobRecord[], void> {
  for (const state of ORDER) {
    const pages = walk(part, state);
    for (let page = await pages.next(); page.length > 0; page = await pages.next()) {
      for (let from = 0; from < page.length; from += READ_AT_ONCE) {
        const ids = page.slice(from, from + READ_AT_ONCE).map(({ id }) => id);
        yield await readRecords(part, await placesOf(part, state, ids));
      }
    }
  }
}
