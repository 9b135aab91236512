/** One turn of one way to resize, in a process of its own: prints how late its event loop was, and how many it resized. */
import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { gather, offload, range } from "millrace/concurrency";
import { byJavaScript, bySharp } from "./resize.ts";

const [job, where, source, runMs] = process.argv.slice(2) as ["bySharp" | "byJavaScript", "inline" | "threads", string, string];
const jobs = { bySharp, byJavaScript };
const resize = where === "inline" ? jobs[job] : (from: string, to: string) => offload<typeof jobs, typeof job>(new URL("./resize.ts", import.meta.url), job, [from, to]);
/** Twice the cores, so that each has the next one waiting. */
const lanes = range(2 * availableParallelism());
let until = 0;
let resized = 0;

const lane = (number: number) => async (): Promise<void> => {
  const target = `${source}.${job}.${where}.${number}.jpg`;
  do {
    await resize(source, target);
    resized += 1;
  } while (performance.now() < until);
  await rm(target);
};

await gather(lanes.map(lane)); // starts the threads, loads sharp, compiles
resized = 0;
const startedAt = performance.now();
until = startedAt + Number(runMs);
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
await gather(lanes.map(lane));
delay.disable();
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6, rate: resized / seconds }));
