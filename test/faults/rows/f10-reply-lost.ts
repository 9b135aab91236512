/** F10: replies of Redis are lost on the way, to puts, fetches and acknowledgements alike, again and again under load. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

const ROUNDS = 8;

export const f10 = scenario({
  row: "F10",
  title: "reply lost, of a put, a bulk, a fetch, an ack",
  targets: {
    orphansAfterMs: { label: "what was put before is completed after", atMost: 5000 },
    doneAgain: { label: "done, and run again", atMost: 0 },
    failed: { label: "failed", atMost: 0 },
  },
  together: 2,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const [toProducer, toWorker] = await Promise.all([stage.proxy(redis), stage.proxy(redis)]);
    const producer = await stage.producer(toProducer.url);
    await stage.worker(toWorker.url);
    let orphansAfterMs = 0;
    const loaded = producer.load(stage.works(1, "sleep", [20])[0]!, { lanes: 5, pauseMs: 20 });
    for (let round = 0; round < ROUNDS && orphansAfterMs < Infinity; round += 1) {
      await stage.pause(stage.between(200, 1500));
      const lostAt = monotonicMs();
      if (stage.random() < 0.7) toWorker.loseReplies();
      if (stage.random() < 0.7) toProducer.loseReplies();
      if (stage.random() < 0.5) await producer.putMany(Array.from({ length: 50 }, (_, i) => ({ n: 1_000_000 + round * 50 + i, does: "sleep", ms: [5] })));
      const isDone = await stage.comesTrue(() => stage.unfinished(lostAt).length === 0);
      orphansAfterMs = Math.max(orphansAfterMs, isDone ? monotonicMs() - lostAt : Infinity);
    }
    await producer.rest();
    await loaded;
    await stage.comesTrue(() => stage.unfinished().length === 0);
    const endings = new Map<number, number>();
    for (const { n } of stage.did("ended")) endings.set(n, (endings.get(n) ?? 0) + 1);
    const jobs = await stage.stored();
    return {
      orphansAfterMs,
      doneAgain: [...endings.values()].filter((count) => count > 1).length,
      failed: jobs.filter(({ states }) => states.includes("failed")).length,
    };
  },
});
