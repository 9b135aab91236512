/** F21: the clock of a worker is wrong by an hour. */
import { scenario } from "../scenario.ts";

const HOUR_MS = 3_600_000;

export const f21 = scenario({
  row: "F21",
  title: "a worker's clock is off by an hour",
  targets: { offByMs: { label: "delayed jobs run early or late by", atMost: 1000 } },
  together: 3,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    await stage.worker(redis.url, { concurrency: 10, clockOffMs: stage.random() < 0.5 ? HOUR_MS : -HOUR_MS });
    const delays = Array.from({ length: 5 }, () => Math.round(stage.between(2000, 10_000)));
    const works = stage.works(delays.length, "sleep", [10]);
    await Promise.all(works.map((work, i) => producer.put([work], { delayMs: delays[i]! })));
    await stage.comesTrue(() => stage.did("started").length === works.length, 30_000);
    const off = works.map(({ n }, i) => {
      const dueAt = stage.did("acknowledged").find((put) => put.n === n)!.at + delays[i]!;
      return Math.abs((stage.did("started").find((run) => run.n === n)?.at ?? Infinity) - dueAt);
    });
    await stage.comesTrue(() => stage.unfinished().length === 0, 5000);
    return { offByMs: Math.max(...off) };
  },
});
