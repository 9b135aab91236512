/** F12: connections that carry nothing any more, and are not closed. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

export const f12 = scenario({
  row: "F12",
  title: "half-open TCP",
  targets: {
    putsAfterMs: { label: "puts again after", atMost: 20_000 },
    runsAfterMs: { label: "an idle worker runs again after", atMost: 20_000 },
    endsAfterMs: { label: "what ran meanwhile is completed after", atMost: 20_000 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const [toProducer, toIdle, toBusy] = await Promise.all([stage.proxy(redis), stage.proxy(redis), stage.proxy(redis)]);
    const [producer, direct] = [await stage.producer(toProducer.url), await stage.producer(redis.url)];
    await stage.worker(toBusy.url, { concurrency: 1 });
    const [busy] = stage.works(1, "sleep", [stage.between(3000, 6000)]);
    await producer.put([busy!]);
    await stage.until(() => stage.did("started").length === 1);
    const idle = await stage.worker(toIdle.url, { concurrency: 1 });
    await stage.pause(stage.between(0, 2000));
    for (const proxy of [toProducer, toIdle, toBusy]) proxy.silence();
    const silentAt = monotonicMs();
    const loaded = producer.load({ n: 1000, does: "sleep", ms: [10] }, { lanes: 1, pauseMs: 200 });
    await direct.put(stage.works(1, "sleep", [10]));
    await stage.comesTrue(() => stage.did("acknowledged").some(({ n, at }) => n >= 1000 && at > silentAt));
    const put = stage.did("acknowledged").find(({ n, at }) => n >= 1000 && at > silentAt);
    await stage.comesTrue(() => stage.did("started").some(({ pid, at }) => pid === idle.pid && at > silentAt));
    const run = stage.did("started").find(({ pid, at }) => pid === idle.pid && at > silentAt);
    const isCompleted = async (): Promise<boolean> => (await stage.stored()).some(({ n, states }) => n === busy!.n && states.includes("completed"));
    const endsAfterMs = (await stage.comesTrue(isCompleted)) ? monotonicMs() - silentAt : Infinity;
    await Promise.race([producer.rest().then(() => loaded), stage.pause(10_000)]);
    await stage.comesTrue(() => stage.unfinished().length === 0, 20_000);
    return { putsAfterMs: (put?.at ?? Infinity) - silentAt, runsAfterMs: (run?.at ?? Infinity) - silentAt, endsAfterMs };
  },
});
