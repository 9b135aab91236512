/** Writes a CPU profile of a stretch of this process, and reads what it cost from one. */
import { writeFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector";

/** Fine enough for what takes a microsecond a job; the profile itself costs little. */
const INTERVAL_US = 500;

/** Starts at once; what it returns ends it and writes the file (`.cpuprofile`, for Chrome's DevTools or an editor). */
export function startProfile(path: string): () => void {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  session.post("Profiler.start");
  return () => {
    session.post("Profiler.stop", (error, { profile }) => {
      if (error) throw error;
      writeFileSync(path, JSON.stringify(profile));
    });
    session.disconnect();
  };
}

/** One function, and its part of the time in which the process did not wait, without what it called. */
export interface Cost {
  readonly name: string;
  /** `file:line`; empty for what is not JavaScript. */
  readonly where: string;
  readonly share: number;
}

/** Functions by self time, the dearest first; `idle` is the part of the whole time in which the process waited. */
export function costsOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): { readonly costs: readonly Cost[]; readonly idle: number } {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, { name: string; where: string; us: number }>();
  for (const [at, id] of samples.entries()) {
    const { functionName = "", url = "", lineNumber = 0 } = frames.get(id) ?? {};
    const where = url === "" ? "" : `${shortened(url)}:${lineNumber + 1}`;
    const name = functionName || "(anonymous)";
    const cost = times.get(`${name} ${where}`) ?? { name, where, us: 0 };
    cost.us += timeDeltas[at] ?? 0;
    times.set(`${name} ${where}`, cost);
  }
  const idle = times.get(IDLE)?.us ?? 0;
  times.delete(IDLE);
  for (const [key, { where }] of times) if (where.startsWith("node:inspector:")) times.delete(key); // its own end
  const busy = [...times.values()].reduce((sum, { us }) => sum + us, 0);
  const costs = [...times.values()].map(({ us, ...cost }) => ({ ...cost, share: us / busy }));
  return { costs: costs.toSorted((one, other) => other.share - one.share), idle: idle / (idle + busy) };
}

/** As V8 calls it, with no place. */
const IDLE = "(idle) ";

/** From the project on, or from the package on. */
function shortened(url: string): string {
  return url.replace(/^.*\/node_modules\//, "").replace(new URL("../../", import.meta.url).href, "");
}
