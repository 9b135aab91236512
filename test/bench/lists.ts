/**
 * `npm run bench -- lists`: how soon the commands that list, export and change many jobs print their first line, and how much
 * memory they hold, on a million jobs that wait and a million dead letters. Each is the built command in a process of its own.
 */
import { availableParallelism, cpus, loadavg } from "node:os";
import { groupOf } from "../../src/admin/error-group.ts";
import { readCommand, type CommandReading } from "./command-reading.ts";
import { DEAD, ERRORS, errorOf, fillLists, letFail, RARE, WAITING } from "./lists-fill.ts";
import { openRedis } from "./redis-store.ts";
import { spread } from "./statistics.ts";

const JOBS = 1_000_000;
const QUICK_JOBS = 20_000;
const GOALS = { firstLineMs: 300, peakMb: 150 } as const;

interface Case {
  readonly args: readonly string[];
  /** Lines that it must print: one that does less would be fast. */
  readonly lines: number;
  /** Jobs that its line must name as changed. */
  readonly changes?: number;
  /** Those that were let run again fail before it. */
  readonly failing?: true;
  /** The goal for its first line does not hold where that tells of all jobs. */
  readonly streams: boolean;
}

/** Those that change jobs come last, one after another: each finds what those before it left. */
export function casesOf(jobs: number): readonly Case[] {
  const of = (kind: number): number => Math.ceil((jobs - kind) / ERRORS);
  const all = (word: number): number => Array.from({ length: ERRORS / 3 }, (_, i) => of(3 * i + word)).reduce((sum, one) => sum + one, 0);
  const group = (kind: number): string => groupOf("send", errorOf(kind, 0));
  const list = (lines: number, ...args: string[]): Case => ({ args, lines, streams: true });
  const change = (changes: number, ...args: string[]): Case => ({ args, lines: 1, changes, streams: false });
  // A group has a line of its own for its stack.
  return [
    list(jobs + 1, "job", "list", WAITING),
    list(jobs / RARE + 1, "job", "list", WAITING, "--state", "waiting", "--name", "remind"),
    list(all(1) + 1, "job", "list", DEAD, "--state", "failed", "--error", "ETIMEDOUT of host [a-j]"),
    list(jobs, "job", "list", WAITING, "--json"),
    list(2 * ERRORS + 1, "dead", "list", DEAD),
    list(2 * ERRORS + 1, "dead", "list"),
    { args: ["dead", "list", DEAD, "--all"], lines: 2 * ERRORS + 1, streams: false },
    list(jobs, "dead", "export", DEAD),
    list(jobs + 2, "queue", "export", WAITING),
    list(jobs + 2, "queue", "export", DEAD),
    change(jobs / RARE, "job", "remove", WAITING, "--name", "remind", "--yes"),
    change(jobs - jobs / RARE, "job", "remove", WAITING, "--all", "--yes"),
    change(jobs, "job", "retry", DEAD, "--all"),
    { ...change(all(2), "job", "retry", DEAD, "--error", "expected a mailbox"), failing: true },
    change(of(0), "dead", "retry", DEAD, "--group", group(0)),
    change(of(1), "dead", "discard", DEAD, "--group", group(1), "--yes"),
    change(all(0) - of(0), "dead", "retry", DEAD, "--error", "ECONNREFUSED"),
    change(all(1) - of(1), "dead", "discard", DEAD, "--error", "ETIMEDOUT", "--yes"),
  ];
}

export interface ListsOptions {
  readonly rounds: number;
  /** On 20,000 jobs: shows that it runs, not how fast. */
  readonly quick: boolean;
  /** Only commands that hold this text. */
  readonly only?: string | undefined;
}

/** Prints a Markdown table. */
export async function benchLists({ rounds, quick, only = "" }: ListsOptions): Promise<void> {
  const jobs = quick ? QUICK_JOBS : JOBS;
  const cases = casesOf(jobs).filter(({ args }) => args.join(" ").includes(only));
  const readings = new Map(cases.map((one): [Case, CommandReading[]] => [one, []]));
  await using redis = await openRedis({ appendonly: "no" });
  for (let round = 0; round < rounds; round += 1) {
    if (round === 0 || cases.some(({ changes }) => changes !== undefined)) {
      await redis.reset();
      await fillLists(redis.url, jobs);
    }
    for (const one of cases) {
      if (one.failing) await letFail(redis.url);
      const reading = await readCommand(redis.url, one.args);
      checkReading(one, reading);
      readings.get(one)?.push(reading);
      console.error(`round ${round + 1}, ${shortened(one)}: first line ${reading.firstLineMs.toFixed(0)} ms, ${reading.seconds.toFixed(1)} s, CPU ${reading.cpuSeconds.toFixed(1)} s, ${reading.peakMb.toFixed(0)} MB`);
    }
  }
  console.log(`${table(readings)}\n\n${conditions(rounds, jobs, redis.version)}`);
}

function checkReading(one: Case, { lines, head }: CommandReading): void {
  const right = lines === one.lines && (one.changes === undefined || head.includes(` ${one.changes.toLocaleString("en-US")} jobs of`));
  if (!right) throw new Error(`expected ${one.lines} lines of millrace ${one.args.join(" ")}${one.changes === undefined ? "" : ` and ${one.changes} jobs`}, got ${lines}: ${head.slice(0, 200)}`);
}

function shortened({ args }: Case): string {
  return args.join(" ");
}

function table(readings: ReadonlyMap<Case, readonly CommandReading[]>): string {
  const lines = [...readings].map(([one, all]) => {
    const of = (key: "firstLineMs" | "peakMb" | "seconds" | "cpuSeconds"): number[] => all.map((reading) => reading[key]);
    const isMet = (!one.streams || spread(of("firstLineMs")).median <= GOALS.firstLineMs) && spread(of("peakMb")).max < GOALS.peakMb;
    const megabytes = (all[0]?.bytes ?? 0) / 1e6;
    return [`\`${shortened(one)}\``, shown(of("firstLineMs")), shown(of("seconds"), 1), shown(of("cpuSeconds"), 1), shown(of("peakMb")), megabytes.toFixed(megabytes < 10 ? 1 : 0), isMet ? "met" : "**not met**"];
  });
  const head = ["command", "first line, ms", "all of it, s", "CPU, s", "most memory, MB", "output, MB", `≤ ${GOALS.firstLineMs} ms, < ${GOALS.peakMb} MB`];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** `12.3 (11.0-15.1)` */
function shown(values: readonly number[], digits = 0): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

function conditions(rounds: number, jobs: number, server: string): string {
  const many = jobs.toLocaleString("en-US");
  return `Median (least-most) of ${rounds} round${rounds === 1 ? "" : "s"}; queues of ${many} jobs that wait and of ${many} dead letters with ${ERRORS} errors, payloads of
200 bytes. The built package, Node ${process.version}; ${server}, nothing persisted, TCP on the loopback; ${availableParallelism()} cores of
${cpus()[0]?.model ?? "unknown"}, shared by all processes; load average ${loadavg()[0]?.toFixed(1) ?? "unknown"}.

- Times are from the start of the process. The memory is the most that was resident, of which Node itself takes some 45 MB.
- What changes jobs, or groups all of a million, prints when it is done: of these only the memory has a goal.`;
}
