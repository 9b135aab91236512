/** F24: kill -9 when Redis has run a script, and before its reply has come: of a settlement, of a reservation, of a put. */
import { Redis } from "ioredis";
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

const JOBS = 10;
/** A script that puts, reserves or settles names the list of the waiting. */
const SCRIPTS = /:wait\r\n/;

export const f24 = scenario({
  row: "F24",
  title: "kill -9 between a script and its reply: of an ack, a fetch, a put",
  targets: {
    rerunAfterMs: { label: "what was fetched runs after another worker is up, in", atMost: 7000 },
    doneAgain: { label: "acknowledged, and run again", atMost: 0 },
    doubled: { label: "runs of what was fetched, beyond one", atMost: 0 },
    unfinished: { label: "not completed", atMost: 0 },
  },
  together: 3,
  quick: 2,
  async play(stage) {
    const redis = await stage.redis();
    const [toBusy, toIdle, toPutter] = await Promise.all([stage.proxy(redis), stage.proxy(redis), stage.proxy(redis)]);
    const options = { concurrency: JOBS, fast: true };
    const [producer, putter] = await Promise.all([stage.producer(redis.url), stage.producer(toPutter.url)]);
    const [busy, idle] = await Promise.all([stage.worker(toBusy.url, options), stage.worker(toIdle.url, options)]);
    const inState = async (state: string): Promise<number[]> => (await stage.stored()).flatMap(({ n, states }) => (states.includes(state) ? [n] : []));
    const starts = (works: readonly number[]): number => stage.did("started").filter(({ n }) => works.includes(n)).length;

    // One of them fetches, and does not hear what.
    await stage.until(async () => (await waiting(redis.url)) === 2);
    toIdle.holdReplies(SCRIPTS);
    await producer.put(stage.works(2 * JOBS, "sleep", () => [stage.between(1000, 2000), 10]));
    await stage.until(async () => stage.did("started").length > 0 && (await inState("active")).some((n) => starts([n]) === 0));
    // The other acknowledges, and fetches in the same script.
    await producer.put(stage.works(JOBS, "sleep", () => [stage.between(1000, 2000), 10]));
    toBusy.holdReplies(SCRIPTS);
    const acknowledged = (await inState("completed")).length;
    await stage.until(async () => (await inState("completed")).length > acknowledged);
    // A producer puts, and does not hear that it has.
    toPutter.holdReplies(SCRIPTS);
    const unheard = stage.works(JOBS, "sleep", [10]);
    void putter.put(unheard, { named: true });
    await stage.until(async () => (await stage.stored()).some(({ n }) => n === unheard[0]!.n));
    await stage.pause(stage.between(0, 100));
    for (const victim of [idle, busy, putter]) victim.kill("SIGKILL");
    await Promise.all([idle.ended, busy.ended, putter.ended]);

    const completed = await inState("completed");
    const fetched = (await inState("active")).filter((n) => starts([n]) === 0);
    if (fetched.length === 0) throw new Error("expected jobs that were fetched unheard, got none");
    const before = starts(completed);
    await stage.worker(redis.url, options);
    const upAt = monotonicMs();
    // Whoever starts its producer again has it put once more what was not acknowledged.
    await (await stage.producer(redis.url)).put(unheard, { named: true });
    const firstRuns = (): number[] => fetched.map((n) => stage.did("started").find((run) => run.n === n)?.at ?? Infinity);
    await stage.comesTrue(() => firstRuns().every(Number.isFinite));
    const rerunAfterMs = Math.max(0, ...firstRuns().map((at) => at - upAt));
    await stage.comesTrue(() => stage.unfinished().length === 0);
    await stage.comesTrue(async () => (await inState("completed")).length === 4 * JOBS, 10_000);
    return {
      rerunAfterMs,
      doneAgain: starts(completed) - before,
      doubled: starts(fetched) - fetched.length,
      unfinished: 4 * JOBS - (await inState("completed")).length,
    };
  },
});

/** How many wait for jobs now, on a connection each. */
async function waiting(url: string): Promise<number> {
  const client = new Redis(url);
  try {
    return [...String(await client.client("LIST")).matchAll(/ cmd=bzpopmin /g)].length;
  } finally {
    client.disconnect();
  }
}
