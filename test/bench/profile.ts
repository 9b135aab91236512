/** `npm run bench -- profile MEASURE`: writes a CPU profile of the process that is measured, and prints its ten main costs. */
import type { Profiler } from "node:inspector";
import { readFile } from "node:fs/promises";
import type { Side } from "./measure.ts";
import { costsOf } from "./profiler.ts";
import { takeReading } from "./reading.ts";
import { said } from "./report.ts";
import { openStores } from "./store.ts";

/** More than a turn has, for samples enough. */
const TIMES = 2;

/** @param name  of the measure */
export async function benchProfile(name: string, { label, subject, work }: Side): Promise<void> {
  const path = `${subject}-${name}.cpuprofile`;
  const longer = { label, subject, work: { ...work, jobs: work.jobs * TIMES, processes: 1 } };
  await using stores = await openStores([longer], { appendonly: "no" });
  const reading = await takeReading(longer, (await stores.of(longer))!, path);
  const { costs, idle } = costsOf(JSON.parse(await readFile(path, "utf8")) as Profiler.Profile);
  console.log(`${label}, ${name}: ${said(reading)}; idle ${percent(idle)} of the time; ${path}\n\nof the rest, without what was called:`);
  for (const { name, where, share } of costs.slice(0, 10)) console.log(`${percent(share).padStart(6)}  ${name.padEnd(28)} ${where}`);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}
