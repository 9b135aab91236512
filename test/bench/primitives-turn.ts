/** One turn of one subject at one measure, in a process of its own: prints how many in a second of CPU, after a warm-up. */
import { goOf, type MeasureName, open, type SubjectName, unitsOf, type Work } from "./primitives.ts";

const [subject, measure, runMs] = process.argv.slice(2) as [SubjectName, MeasureName, string];
const work = (await open[subject]())[measure];
if (work === undefined) throw new Error(`${subject} has no ${measure}`);

await rate(work, Number(runMs) / 2);
console.log(await rate(work, Number(runMs)));

/** How many in a second of this process's CPU, over at least `forMs` of it: what else the machine does counts for nobody. */
async function rate(work: Work, forMs: number): Promise<number> {
  const before = process.cpuUsage();
  let done = 0;
  let tookMs = 0;
  for (; tookMs < forMs; tookMs = cpuMsSince(before)) {
    await work(goOf(measure));
    done += goOf(measure);
  }
  return (done * unitsOf(measure) * 1000) / tookMs;
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
