/** One turn of one way to resize, through a pool in a process of its own: prints how late its event loop was, and how many it resized. */
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { connect, gather, range } from "millrace";
import { thumbnail } from "../../producers/jobs/thumbnail.ts";
import shipped from "../../workers/thumbnail.ts";
import plain from "./plain-thumbnail.ts";

export interface ThumbnailTurn {
  readonly job: "sharp" | "JavaScript";
  readonly where: "inline" | "threads";
  readonly source: string;
  readonly redisUrl: string;
  readonly runMs: number;
}

const { job, where, source, redisUrl, runMs } = JSON.parse(process.argv[2] ?? "") as ThumbnailTurn;
const handler = { sharp: shipped, JavaScript: plain }[job];
await using app = connect({ redis: redisUrl, prefix: `${job}-${where}` });
await using _ = app.pool([where === "threads" ? handler : { ...handler, threads: undefined }], { concurrency: availableParallelism() });
let until = 0;
let resized = 0;

/** Twice the cores, so that each has the next one waiting. */
const lanes = range(2 * availableParallelism()).map((lane) => async (): Promise<void> => {
  const target = `${source}.${job}.${where}.${lane}.jpg`;
  do {
    await (await app.put(thumbnail, { source, target })).result();
    resized += 1;
  } while (performance.now() < until);
});

await gather(lanes); // starts the threads, loads sharp, compiles
resized = 0;
const startedAt = performance.now();
until = startedAt + runMs;
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
await gather(lanes);
delay.disable();
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6, rate: resized / seconds }));
