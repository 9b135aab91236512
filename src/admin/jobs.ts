/** Lists jobs of a queue: all that a filter lets through, as they are met. */
import type { JobState } from "../job/state.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { walk, type WalkedJob } from "../store/walk.ts";
import { checkFilter, type CheckedFilter, type JobFilter } from "./job-filter.ts";
import type { Operator } from "./operator.ts";
import { readAhead } from "./read-ahead.ts";

/** One job of a list. Instants in milliseconds by the server's clock. */
export interface JobRow extends WalkedJob {
  readonly queue: string;
}

/**
 * The jobs of a queue that a filter lets through, in constant memory: what runs first, then what is next, then what has
 * ended, the last to end before the others. A job that changes its state meanwhile may be met in both, or in neither.
 *
 * @throws OptionError before any I/O; NotFoundError; BackendError
 */
export function listJobs(operator: Operator, name: string, filter?: JobFilter): AsyncIterable<JobRow> {
  const checked = checkFilter("listJobs", filter);
  operator.queue(name);
  return (async function* jobs() {
    for await (const page of readAhead(pagesOf(await operator.parts(name), checked))) for (const job of page.jobs) yield { queue: name, ...job };
  })();
}

/** Jobs of one page that the filter let through. */
export interface MatchedPage {
  readonly queue: StoredQueue;
  readonly state: JobState;
  readonly place: number;
  readonly jobs: readonly WalkedJob[];
  /** Says which of them were taken from their state, so that the walk goes on where it should. */
  took(isTaken: (id: string) => boolean): void;
}

/** State by state, of each partition in turn; pages without a match are not given. @throws BackendError */
export async function* pagesOf(partitions: readonly StoredQueue[], filter: CheckedFilter): AsyncGenerator<MatchedPage, void> {
  let left = filter.limit;
  for (const [state, queue] of filter.states.flatMap((state) => partitions.map((queue) => [state, queue] as const))) {
    const steps = walk(queue, state);
    for (let page = await steps.next(); page.length > 0; page = await steps.next()) {
      const now = queue.connections.clock.now();
      const jobs = page.filter((job) => filter.matches(job, now)).slice(0, left);
      left -= jobs.length;
      if (jobs.length > 0) yield { queue, state, place: steps.place, jobs, took: (isTaken) => steps.took(isTaken) };
      if (left === 0) return;
    }
  }
}
