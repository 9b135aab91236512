/** F16: the primary of a Sentinel, or the node of a Cluster that holds the queue, is ended or killed under load. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

export const f16 = scenario({
  row: "F16",
  title: "Sentinel and Cluster fail-over under load",
  targets: {
    sentinelGapMs: { label: "Sentinel: longest gap", atMost: 10_000 },
    clusterGapMs: { label: "Cluster: longest gap", atMost: 10_000 },
    unfinished: { label: "not completed", atMost: 0 },
    failed: { label: "failed", atMost: 0 },
  },
  together: 2,
  async play(stage) {
    const sentinels = await stage.sentinels();
    const sentinelGapMs = await failedOver(stage, sentinels.url, await sentinels.primary());
    const cluster = await stage.cluster();
    const clusterGapMs = await failedOver(stage, cluster.url, await cluster.primaryOf("{bull}"));
    const failed = (await stage.stored()).filter(({ states }) => states.includes("failed")).length;
    return { sentinelGapMs, clusterGapMs, unfinished: stage.unfinished().length, failed };
  },
});

/** @returns the longest time in which nothing was put, or nothing started */
async function failedOver(stage: Stage, url: string, primary: { stop(): Promise<void>; kill(): Promise<void> }): Promise<number> {
  const producer = await stage.producer(url);
  const workers = await Promise.all([stage.worker(url), stage.worker(url)]);
  const [first] = stage.works(1, "sleep", [50]);
  stage.skip(100_000);
  const loaded = producer.load(first!, { lanes: 5, pauseMs: 50 });
  await stage.pause(stage.between(2000, 4000));
  const endedAt = monotonicMs();
  await (stage.random() < 0.5 ? primary.stop() : primary.kill());
  await stage.pause(15_000);
  await Promise.race([producer.rest().then(() => loaded), stage.pause(10_000)]);
  await stage.comesTrue(() => stage.unfinished().length === 0, 60_000);
  for (const worker of workers) worker.kill("SIGTERM");
  const gaps = (["acknowledged", "started"] as const).map((did) => {
    const instants = [endedAt, ...stage.did(did).filter(({ n, at }) => n >= first!.n && at > endedAt).map(({ at }) => at)];
    return instants.length === 1 ? Infinity : Math.max(...instants.slice(1).map((at, i) => at - instants[i]!));
  });
  return Math.max(...gaps);
}
