/** Changes one job, and copies jobs. */
import { OptionError, StateError } from "../errors.ts";
import { checkQueueName } from "../job/name.ts";
import { JOB_STATES } from "../job/state.ts";
import { check, checkOptions, shown, type Duration } from "../options.ts";
import { copyable, editJob as editStored } from "../store/edit.ts";
import type { Partitions } from "../queue/partitions.ts";
import { readRedactions, writeRedactions } from "../store/redactions.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { inBulk, type BulkResult, type JobSelection } from "./bulk.ts";
import { checkJobId, findJob } from "./job-show.ts";
import type { Operator } from "./operator.ts";

/** What is not said stays as it is. */
export interface JobEdit {
  /** Any JSON: no contract is asked. */
  readonly payload?: unknown;
  /** 0 to 2,097,151; of what waits. */
  readonly priority?: number;
  /** From now; of what is delayed. */
  readonly delay?: Duration;
  /** How often it is tried in all, at least 1. */
  readonly attempts?: number;
}

export interface EditResult {
  readonly queue: string;
  readonly id: string;
  readonly edited: readonly string[];
}

const LONGEST_PAYLOAD = 1024 ** 2;
const editOptions = {
  payload: (value: unknown) => value,
  priority: check.integer({ min: 0, max: 2 ** 21 - 1 }),
  delay: check.duration(),
  attempts: check.integer({ min: 1 }),
};

/**
 * Edits a job that does not run.
 *
 * @throws OptionError, ReadOnlyError before any I/O; NotFoundError; StateError when it runs, or is in no state for the
 *   priority or the delay; BackendError
 */
export async function editJob(operator: Operator, name: string, id: string, edit: JobEdit): Promise<EditResult> {
  checkJobId(id);
  operator.queue(name);
  const { payload, ...rest } = checkOptions("editJob", edit, editOptions);
  const data = payload === undefined ? undefined : json(payload);
  const edited = Object.keys(edit).filter((key) => edit[key as keyof JobEdit] !== undefined);
  if (edited.length === 0) throw new OptionError("expected a payload, priority, delay or attempts for editJob, got none of them");
  return operator.change({ command: "job edit", target: `${name}/${id}`, details: { edited } }, async (touch) => {
    const { queue, detail: { state } } = await findJob(operator, name, id);
    if (state === "active") throw new StateError(`expected a job that does not run, but ${shown(id)} of queue ${name} is active: wait, or cancel it`);
    if (rest.priority !== undefined && state !== "waiting" && state !== "prioritized") throw new StateError(`expected a job that waits for priority, but ${shown(id)} of queue ${name} is ${state}`);
    if (rest.delay !== undefined && state !== "delayed") throw new StateError(`expected a delayed job for delay, but ${shown(id)} of queue ${name} is ${state}`);
    await editStored(queue, id, { data, priority: rest.priority, delayMs: rest.delay, attempts: rest.attempts });
    touch(1);
    return { queue: name, id, edited };
  });
}

/**
 * Puts copies of jobs, in whatever state these are: the same name, payload, priority and attempts under new ids. They
 * wait at once, belong to no flow and no schedule, and hold no deduplication id.
 *
 * @param to  another queue; the same unless told
 * @throws as `retryJobs`
 */
export function copyJobs(operator: Operator, name: string, selection: JobSelection & { readonly to?: string }): Promise<BulkResult> {
  const { to = name, ...which } = selection;
  checkQueueName(to);
  /** In the same queue they are met as well. */
  const made = new Set<string>();
  return inBulk(
    operator,
    {
      command: "job copy",
      made,
      states: JOB_STATES,
      takes: () => false,
      details: { to },
      async apply(queue, _, ids) {
        const target = await operator.open(to);
        const jobs = await copyable(queue, ids);
        if (to !== name) await noteThere(queue, target);
        await Promise.all([...jobs.values()].map(async (job) => {
          const { id, queue } = target.place(undefined, undefined);
          if (to === name) made.add(id);
          await queue.lane.put({ ...job, id }, { waits: false });
        }));
        return new Set(jobs.keys());
      },
    },
    name,
    which,
  );
}

/** What is redacted in a job is so in its copy. */
async function noteThere(from: StoredQueue, to: Partitions): Promise<void> {
  await to.ready();
  const redactions = await readRedactions(from);
  for (const { stored } of to.all) await writeRedactions(stored, redactions);
}

function json(payload: unknown): string {
  const text = JSON.stringify(payload) as string | undefined;
  if (text !== undefined && text.length <= LONGEST_PAYLOAD) return text;
  throw new OptionError(`expected a payload that JSON can carry, of at most 1 MiB, for editJob, got ${shown(payload)}`);
}
