/** F17: the primary stands still until another has taken its place, and comes back. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

/** What `min-replicas-max-lag` is by default. */
const LAG_MS = 10_000;

export const f17 = scenario({
  row: "F17",
  title: "frozen primary comes back, with min-replicas-to-write",
  targets: {
    lostDurable: { label: "durable puts lost", atMost: 0 },
    lostWindowMs: { label: "other puts lost within", atMost: LAG_MS },
    unfinished: { label: "what is left not completed", atMost: 0 },
  },
  together: 2,
  async play(stage) {
    const sentinels = await stage.sentinels({ "min-replicas-to-write": "1" });
    const [durable, other] = [await stage.producer(sentinels.url), await stage.producer(sentinels.url)];
    await stage.worker(sentinels.url);
    const primary = await sentinels.primary();
    const [first] = stage.works(1, "sleep", [20]);
    const loads = [durable.load(first!, { lanes: 3, pauseMs: 20, settings: { durable: true } }), other.load({ ...first!, n: 1_000_000 }, { lanes: 3, pauseMs: 20 })];
    await stage.pause(stage.between(2000, 4000));
    primary.pause();
    const frozenAt = monotonicMs();
    await stage.comesTrue(async () => (await sentinels.primary()) !== primary, 30_000);
    await stage.pause(stage.between(0, 3000));
    primary.resume();
    await stage.pause(15_000);
    await Promise.race([Promise.all([durable.rest(), other.rest(), ...loads]), stage.pause(10_000)]);
    const kept = new Set((await stage.stored()).map(({ id, n }) => `${id} ${n}`));
    const lost = stage.did("acknowledged").filter(({ id, n }) => !kept.has(`${id} ${n}`));
    for (const { n } of lost) stage.forgiven.add(n);
    await stage.comesTrue(() => stage.unfinished().every((n) => stage.forgiven.has(n)), 60_000);
    const instants = lost.filter(({ n }) => n >= 1_000_000).map(({ at }) => at);
    return {
      lostDurable: lost.filter(({ n }) => n < 1_000_000).length,
      lostWindowMs: instants.length === 0 ? 0 : Math.max(...instants) - Math.min(frozenAt, ...instants),
      unfinished: stage.unfinished().filter((n) => !stage.forgiven.has(n)).length,
    };
  },
});
