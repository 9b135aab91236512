/** Reads in what an export wrote, into the same queue or another. */
import { OptionError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { writeRecords, type JobRecord } from "../store/job-records.ts";
import { ReplicatedWrites } from "../store/replicated-writes.ts";
import { writeRedactions } from "../store/redactions.ts";
import { writeSchedule } from "../store/schedule-records.ts";
import { writeShares } from "../store/settings-shares.ts";
import { readLine } from "./export-line.ts";
import type { Operator } from "./operator.ts";

const WRITTEN_AT_ONCE = { jobs: 200, bytes: 1 << 20 };

export interface ImportOptions {
  /** Ends it after the batch that is being written; it may be done again. */
  readonly signal?: AbortSignal;
}

export interface ImportResult {
  readonly queue: string;
  readonly jobs: number;
  /** Jobs whose id was there already: they were left as they are. */
  readonly existing: number;
  readonly schedules: number;
  /** The export was read to its end. */
  readonly complete: boolean;
}

/**
 * Puts the jobs of an export into a queue, which need not exist, under their ids: done again, it adds nothing. What was active
 * waits again, first of all. Settings and schedules that the queue has are kept. A masked export is refused at its first line,
 * before anything is written; so are limits that only some of its partitions have, where the other queue has not as many. Where the server has a replica, what is
 * imported is what it has too.
 *
 * @param lines  text, a line each; empty ones are passed over
 * @throws ReadOnlyError, OptionError before any I/O; OptionError naming the line that is none: those before it are imported; StateError; BackendError, BackendFullError; the signal's reason
 */
export function importQueue(operator: Operator, name: string, lines: AsyncIterable<string> | Iterable<string>, options?: ImportOptions): Promise<ImportResult> {
  const { signal } = checkOptions("importQueue", options, { signal: check.signal() });
  operator.queue(name);
  return operator.change({ command: "queue import", target: name }, async (touch) => {
    const queue = operator.queue(name);
    const writes = new ReplicatedWrites(queue);
    const told = { jobs: 0, existing: 0, schedules: 0, complete: false };
    let batch: JobRecord[] = [];
    let bytes = 0;
    const write = async (): Promise<void> => {
      signal?.throwIfAborted();
      const existing = await writes.do(() => writeRecords(queue, batch));
      told.existing += existing.length;
      told.jobs += batch.length - existing.length;
      touch(told.jobs + told.schedules);
      batch = [];
      bytes = 0;
    };
    let number = 0;
    for await (const text of lines) {
      number += 1;
      if (text.trim() === "") continue;
      const line = readLine(text, number);
      if ("masked" in line) throw new OptionError(`expected jobs with all of their payloads for the import, got an export in which contracts' redactions are masked (line ${number}): millrace queue export --unmasked writes one that can be read in`);
      if (line.kind === "queue") {
        await writeShares(queue, line.shares ?? [line.settings]);
        await writeRedactions(queue, Object.entries(line.redact ?? {}));
      }
      else if (line.kind === "schedule") told.schedules += Number(await writeSchedule(queue, line));
      else if (line.kind === "end") told.complete = true;
      else {
        const { kind: _, ...record } = line;
        batch.push(record);
        bytes += text.length;
        if (batch.length >= WRITTEN_AT_ONCE.jobs || bytes >= WRITTEN_AT_ONCE.bytes) await write();
      }
    }
    if (batch.length > 0) await write();
    if (!told.complete) touch(told.jobs + told.schedules, { missed: new OptionError("the export ends before its last line") });
    return { queue: name, ...told };
  });
}
