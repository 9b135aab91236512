/** `npm run bench -- profile MEASURE`: writes a CPU profile of the process that is measured, and prints its ten main costs. */
import type { Profiler } from "node:inspector";
import { readFile } from "node:fs/promises";
import type { Measure } from "./measure.ts";
import { costsOf } from "./profiler.ts";
import { withRedis } from "./redis.ts";
import { takeReading } from "./run.ts";
import type { Turn } from "./turn.ts";

/** More than a turn has, for samples enough. */
const TIMES = 5;

export async function benchProfile(measure: Measure, subject: Turn["subject"]): Promise<void> {
  const path = `${subject}-${measure.name}.cpuprofile`;
  await withRedis({ appendonly: "no" }, async ({ url }) => {
    const reading = await takeReading({ ...measure, jobs: measure.jobs * TIMES }, subject, url, "bench", path);
    const { costs, idle } = costsOf(JSON.parse(await readFile(path, "utf8")) as Profiler.Profile);
    const said = Object.entries(reading).map(([quantity, value]) => `${quantity} ${value.toFixed(1)}`);
    console.log(`${subject}, ${measure.name}: ${said.join(", ")}; idle ${percent(idle)} of the time; ${path}\n\nof the rest, without what was called:`);
    for (const { name, where, share } of costs.slice(0, 10)) console.log(`${percent(share).padStart(6)}  ${name.padEnd(28)} ${where}`);
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}
