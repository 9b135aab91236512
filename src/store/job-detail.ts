/** All that Redis holds of one job, for the operator's eyes. */
import type { JobState } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { runPacked, type Script } from "../redis/script.ts";
import { inspectJobs, type JobReport } from "./inspect.ts";
import { readStoredJob, type StoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface JobDetail {
  readonly stored: StoredJob;
  readonly state: JobState;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** 1 is first, 0 is none. */
  readonly priority: number;
  readonly dueAt: number | undefined;
  /** As JSON, both. */
  readonly result: string | undefined;
  readonly progress: string | undefined;
  readonly reason: string | undefined;
  /** Who took it last. */
  readonly worker: string | undefined;
  /** Until its lease runs out; undefined where it has none. */
  readonly leaseMs: number | undefined;
  readonly logLines: number;
  /** `prefix:queue:id` of the job that waits for this one. */
  readonly parentKey: string | undefined;
  /** Jobs that it waits for. */
  readonly pendingChildren: number;
}

/** @returns undefined when there is no such job. @throws BackendError */
export async function readJobDetail(queue: StoredQueue, id: string): Promise<JobDetail | undefined> {
  return (await readJobDetails(queue, [id]))[0];
}

type Row = [fields: string[], leaseMs: number, logLines: number, pendingChildren: number, dueScore: string | false];

/** Of some hundred at most, by id; undefined is one that is not there. @throws BackendError */
export async function readJobDetails(queue: StoredQueue, ids: readonly string[]): Promise<(JobDetail | undefined)[]> {
  const { client, keys } = queue;
  const [rows, reports] = (await Promise.all([runPacked(client, DETAILS, [keys.delayed], [keys.base, ...ids]), inspectJobs(queue, ids)])) as [Row[], JobReport[]];
  return ids.map((id, i) => toDetail(id, rows[i]!, reports[i]));
}

function toDetail(id: string, [fields, leaseMs, logLines, pendingChildren, dueScore]: Row, report: JobReport | undefined): JobDetail | undefined {
  if (report === undefined || report.state === "removed" || fields.length === 0) return undefined;
  const hash: Record<string, string> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) hash[fields[i]!] = fields[i + 1]!;
  return {
    stored: readStoredJob(id, fields),
    state: report.state === "cancelled" ? "failed" : report.state,
    priority: numberOf(hash["priority"]) ?? 0,
    startedAt: numberOf(hash["processedOn"]),
    finishedAt: numberOf(hash["finishedOn"]),
    dueAt: dueScore === false ? undefined : Math.floor(Number(dueScore) / 0x1000),
    result: hash["returnvalue"],
    progress: hash["progress"],
    reason: hash["failedReason"],
    worker: hash["pb"] || undefined,
    leaseMs: leaseMs >= 0 ? leaseMs : undefined,
    logLines,
    parentKey: hash["parentKey"],
    pendingChildren,
  };
}

/**
 * KEYS  delayed
 * ARGV  base, id…
 * reply msgpack {{{field, value, …}, ms of its lease or below 0, log lines, jobs that it waits for, score among the delayed or false}, …}
 */
const DETAILS: Script = {
  name: "job-details",
  lua: `
local rows = {}
for i = 2, #ARGV do
  local key = ARGV[1] .. ARGV[i]
  rows[i - 1] = {
    redis.call('HGETALL', key), redis.call('PTTL', key .. ':lock'), redis.call('LLEN', key .. ':logs'),
    redis.call('SCARD', key .. ':dependencies'), redis.call('ZSCORE', KEYS[1], ARGV[i]),
  }
end
return cmsgpack.pack(rows)
`,
};

/** Stacks may be long: one step reads those of so many jobs. */
const STACKS_AT_ONCE = 100;

/** The stack of the last attempt that failed, of each. @throws BackendError */
export async function lastStacks({ client, keys }: StoredQueue, ids: readonly string[]): Promise<(string | undefined)[]> {
  const stacks: (string | undefined)[] = [];
  for (let from = 0; from < ids.length; from += STACKS_AT_ONCE) {
    const asked = ids.slice(from, from + STACKS_AT_ONCE);
    const found = (await runPacked(client, STACKS, [keys.failed], [keys.base, ...asked])) as (string | false)[];
    stacks.push(...found.map((stacktrace, i) => (stacktrace === false ? undefined : readStoredJob(asked[i]!, ["stacktrace", stacktrace]).stacktrace.at(-1))));
  }
  return stacks;
}

/**
 * KEYS  failed, for the slot that a cluster looks for it in
 * ARGV  base, id…
 * reply msgpack {its stacks or false, …}
 *
 * In one reply: of hundreds, each with some kilobytes, the last ones may come 0.2 s late, as long as TCP waits before it
 * sends again.
 */
const STACKS: Script = {
  name: "last-stacks",
  lua: `
local stacks = {}
for i = 2, #ARGV do stacks[i - 1] = redis.call('HGET', ARGV[1] .. ARGV[i], 'stacktrace') end
return cmsgpack.pack(stacks)
`,
};

const LOG_PAGE = 1000;

/** The lines that its handlers logged with BullMQ's `job.log`, oldest first. @throws BackendError */
export async function* readLogs({ client, keys }: StoredQueue, id: string): AsyncGenerator<string, void> {
  for (let from = 0; ; from += LOG_PAGE) {
    const lines = await client.lrange(`${keys.base}${id}:logs`, from, from + LOG_PAGE - 1).catch((error: unknown) => {
      throw asBackendError(error);
    });
    yield* lines;
    if (lines.length < LOG_PAGE) return;
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || !Number.isFinite(Number(text)) ? undefined : Number(text);
}
