/** What stands below the table: on what it was measured, and how each subject was set up. */
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg } from "node:os";
import type { Taken } from "./report.ts";
import type { Stores } from "./store.ts";
import { settings, type SubjectName, subjects, titles } from "./subject.ts";

export interface Facts {
  readonly rounds: number;
  readonly quick: boolean;
  readonly appendOnly: boolean;
  readonly node: string;
  readonly servers: readonly string[];
  readonly cpu: string;
  readonly cores: number;
  /** Average of a minute. */
  readonly load: string;
}

export function factsOf({ all }: Stores, asked: Pick<Facts, "rounds" | "quick" | "appendOnly">): Facts {
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: availableParallelism(), load: loadavg()[0]?.toFixed(1) ?? "unknown" };
  return { ...asked, ...machine, node: process.version, servers: all.map(({ version }) => version) };
}

export async function conditions({ rounds, appendOnly, node, servers, cpu, cores, load }: Facts, taken: readonly Taken[]): Promise<string> {
  const names = new Set(taken.flatMap(({ readings }) => [...readings.keys()].map(({ subject }) => subject)));
  const notes = await Promise.all([...names].map(noteOf));
  return `Median (least-most) of ${rounds} round${rounds === 1 ? "" : "s"}; a ratio is the left figure by the right one within one round, the median of the rounds.
${servers.join(", ")}, Node ${node}, ${cores} cores of ${cpu}, shared by all processes; load average ${load}.

- The same on all sides, where they have it: TCP on the loopback, a payload of about 200 bytes, a handler that does nothing,
  attempts ${settings.attempts} with exponential back-off, leases of ${settings.leaseMs / 1000} s, completed jobs removed unless the measure says that they are kept.
- Each subject consumes what it put itself, from the call of the handler that ends the warm-up to the call of the last one that
  counts; work waits all the while. Latency is from the call of put in one process to the call of the handler in another.
- Redis: append-only file ${appendOnly ? "on, written once a second" : "off, nothing is persisted"}. PostgreSQL: as initdb sets it up, each commit is on disk when it is acknowledged.
${notes.join("\n")}`;
}

async function noteOf(name: SubjectName): Promise<string> {
  const { notes } = await subjects[name]();
  return `- ${titles[name]}${versionOf(name)}: ${notes}.`;
}

function versionOf(name: SubjectName): string {
  const packageOf: Partial<Record<SubjectName, string>> = { stock: "bullmq", "bee-queue": "bee-queue", "pg-boss": "pg-boss", "graphile-worker": "graphile-worker" };
  const found = packageOf[name];
  return found === undefined ? "" : ` ${(createRequire(import.meta.url)(`../../node_modules/${found}/package.json`) as { version: string }).version}`;
}
