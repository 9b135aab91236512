/** F3: SIGTERM, and handlers that do as they are told. */
import { monotonicMs } from "../../support/journal.ts";
import { overlapping } from "../checker.ts";
import { scenario } from "../scenario.ts";

const DRAIN_MS = 3000;

export const f03 = scenario({
  row: "F3",
  title: "SIGTERM, handlers cooperate",
  targets: {
    exitAfterLastHandlerMs: { label: "exit after the last handler's end", atMost: 1000 },
    overlapping: { label: "run twice at once", atMost: 0 },
    attemptsSpent: { label: "attempts spent", atMost: 0 },
  },
  together: 3,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const leaving = await stage.worker(redis.url, { concurrency: 20, drainMs: DRAIN_MS });
    // Half of them end within the drain; the others would go on for long, but end when they are told to.
    await producer.put([...stage.works(10, "sleep", () => [stage.between(0, DRAIN_MS)]), ...stage.works(10, "sleep", [600_000, 10])]);
    await stage.until(() => stage.did("started").length === 20);
    await stage.worker(redis.url);
    await stage.pause(stage.between(0, 1000));
    leaving.kill("SIGTERM");
    const toldAt = monotonicMs();
    const hasLeft = await stage.comesTrue(() => leaving.isOver);
    const last = Math.max(toldAt, ...[...stage.did("ended"), ...stage.did("broke off")].filter(({ pid }) => pid === leaving.pid).map(({ at }) => at));
    if (hasLeft) await stage.comesTrue(() => stage.did("ended").length >= 20, 20_000);
    const jobs = await stage.stored();
    return {
      exitAfterLastHandlerMs: hasLeft ? (await leaving.ended).at - last : Infinity,
      overlapping: overlapping(stage.entries()),
      attemptsSpent: jobs.filter(({ states, attemptsMade }) => states.includes("failed") || attemptsMade > 1).length,
    };
  },
});
