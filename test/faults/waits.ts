/** Waits for outcomes and for a join, in a process of its own, held against since when each of them is true in Redis. */
import type { Redis } from "ioredis";
import { monotonicMs } from "../support/journal.ts";
import type { Producer } from "./actor.ts";
import type { Entry } from "./ledger.ts";
import type { Stage } from "./stage.ts";
import { Truth } from "./truth.ts";
import type { Work } from "./work.ts";

export interface Waiting {
  readonly producer: Producer;
  readonly waiter: Producer;
  /** Reaches the server whatever the others reach, and finds it again by itself. */
  readonly client: Redis;
}

export interface Waited {
  /** Waits that did not end, though they had half a minute more than it took until all was true. */
  readonly hanging: number;
  /** The longest from when it was true in Redis, and the one who waits reached Redis, until it was told. */
  readonly lateMs: number;
  /** The longest in which the one who waits reached nothing. */
  readonly outOfReachMs: number;
  /** Outcomes that are not how the job ended, and joins that returned before all had. */
  readonly untrue: number;
}

const TRIM_MS = 50;
const HANGS_AFTER_MS = 30_000;

/**
 * Puts jobs that complete, fail, are cancelled and are removed, and has one process wait for each of them and for all.
 *
 * @param fault  what happens meanwhile; with chance 1 in 2 the events are trimmed from then on, before anybody reads them
 */
export async function waited(stage: Stage, { producer, waiter, client }: Waiting, fault: () => Promise<unknown>): Promise<Waited> {
  const lasting = (): readonly number[] => [stage.between(2000, 10_000)];
  const [completed, failed] = [stage.works(8, "sleep", lasting), stage.works(2, "fail", lasting)];
  const [cancelled, removed] = [stage.works(2, "sleep", [10]), stage.works(2, "sleep", [10])];
  await Promise.all([producer.put(completed), producer.put(failed, { attempts: 1 }), producer.put([...cancelled, ...removed], { delayMs: 600_000 })]);
  const ends = new Map<number, RegExp>();
  const expect = (works: readonly Work[], end: RegExp): void => works.forEach(({ n }) => ends.set(n, end));
  expect(completed, /^completed$/);
  expect(failed, /^failed$/);
  expect(cancelled, /^cancelled$/);
  expect(removed, /^(removed|unknown)$/);
  const jobs = stage.jobs([...completed, ...failed, ...cancelled, ...removed]);
  const join = stage.skip(1);
  ends.set(join, /^joined$/);
  await stage.until(() => [...completed, ...failed].every(({ n }) => stage.did("started").some((run) => run.n === n)));

  const followedAt = monotonicMs();
  const truth = new Truth(client, jobs.map(({ id }) => id));
  void waiter.follow(jobs);
  void waiter.join(join);
  const settled = (): readonly Entry[] => stage.did("settled").filter(({ n }) => ends.has(n));
  await stage.pause(stage.between(0, 2000));
  const trims = stage.random() < 0.5 ? setInterval(() => void client.xtrim("bull:work:events", "MAXLEN", 0).catch(() => 0), TRIM_MS) : undefined;
  await fault();
  await producer.cancel(stage.jobs(cancelled));
  for (const { n, id } of stage.jobs(removed)) {
    stage.forgiven.add(n);
    await client.multi().zrem("bull:work:delayed", id).del(`bull:work:${id}`).exec();
  }
  await stage.comesTrue(() => truth.since.size === jobs.length);
  await stage.comesTrue(() => settled().length === ends.size, HANGS_AFTER_MS);
  clearInterval(trims);
  await truth[Symbol.asyncDispose]();

  // A cancelled job that a subject has removed is lost to the checker.
  for (const { n } of cancelled) stage.forgiven.add(n);
  const reached = stage.did("reached").filter(({ pid, at }) => pid === waiter.pid && at > followedAt);
  const reachedAt = [followedAt, ...reached.map(({ at }) => at), monotonicMs()];
  const idsOf = ({ n }: Entry): readonly string[] => jobs.filter((job) => n === join || job.n === n).map(({ id }) => id);
  const lateBy = (told: Entry): number => {
    const trueAt = Math.max(...idsOf(told).map((id) => truth.since.get(id) ?? Infinity));
    return told.at - (reached.find(({ at }) => at >= trueAt)?.at ?? told.at);
  };
  const isTrue = (told: Entry): boolean => ends.get(told.n)!.test(told.code ?? "") && idsOf(told).every((id) => told.at >= (truth.notYet.get(id) ?? 0));
  return {
    hanging: ends.size - settled().length,
    lateMs: Math.max(0, ...settled().map(lateBy)),
    outOfReachMs: Math.max(...reachedAt.slice(1).map((at, i) => at - reachedAt[i]!)),
    untrue: settled().filter((told) => !isTrue(told)).length,
  };
}
