/** What the demo says at its end: how much there was, what is there twice, what failed and why, how fast it went. */
import type { Finding } from "./manifest.ts";
import { count, seconds } from "./quantity.ts";

/** Plain data, as `--json` prints it. */
export interface Summary {
  readonly dir: string;
  readonly queue: string;
  /** A run that was stopped has no findings: what it did is kept for the next. */
  readonly interrupted: boolean;
  readonly files: number;
  /** Put by this run; the others were done, or under way, before. */
  readonly put: number;
  readonly known: number;
  /** Jobs that this process ran; another one may have helped. */
  readonly processed: number;
  readonly left: number;
  readonly bytes: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  /** Contents that several files hold, each its own copy: links to one file waste nothing, nor do empty files. */
  readonly duplicates: { readonly groups: number; readonly files: number; readonly wastedBytes: number };
  readonly elapsedMs: number;
  readonly jobsPerSecond: number;
  readonly manifest: string | null;
}

/** Adds up findings, file by file. */
export class Tally {
  bytes = 0;
  readonly #failures = new Map<string, number>();
  /** By SHA-256: how long, and the inodes that hold it. */
  readonly #contents = new Map<string, { readonly bytes: number; readonly inodes: Set<string> }>();

  /** @param inode  undefined for what was never found */
  add(finding: Finding, inode: string | undefined): void {
    if ("error" in finding) {
      this.#failures.set(finding.error, (this.#failures.get(finding.error) ?? 0) + 1);
      return;
    }
    this.bytes += finding.bytes;
    if (finding.bytes === 0 || inode === undefined) return;
    const content = this.#contents.get(finding.sha256);
    if (content === undefined) this.#contents.set(finding.sha256, { bytes: finding.bytes, inodes: new Set([inode]) });
    else content.inodes.add(inode);
  }

  /** The most frequent first. */
  get failures(): Record<string, number> {
    return Object.fromEntries([...this.#failures].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
  }

  get failed(): number {
    return [...this.#failures.values()].reduce((sum, n) => sum + n, 0);
  }

  get duplicates(): Summary["duplicates"] {
    const sum = { groups: 0, files: 0, wastedBytes: 0 };
    for (const { bytes, inodes } of this.#contents.values()) {
      if (inodes.size < 2) continue;
      sum.groups++;
      sum.files += inodes.size;
      sum.wastedBytes += bytes * (inodes.size - 1);
    }
    return sum;
  }
}

/** For people. */
export function summaryText(summary: Summary): string {
  const { files, put, known, processed, left, failures, failed, duplicates, elapsedMs, jobsPerSecond, manifest } = summary;
  const speed = `${seconds(elapsedMs)}, ${count(Math.round(jobsPerSecond))} jobs/s`;
  if (summary.interrupted) return `stopped after ${speed}: ${count(processed)} digested, ${count(left)} left in the queue; the same command continues`;
  const lines = [`${count(files)} files, ${size(summary.bytes)}, in ${speed}`];
  if (known > 0) lines.push(`  ${count(put)} new or changed, ${count(known)} known from before`);
  if (duplicates.groups > 0) lines.push(`  ${count(duplicates.files)} files are ${count(duplicates.groups)} contents more than once: ${size(duplicates.wastedBytes)} wasted`);
  if (failed > 0) lines.push(`  ${count(failed)} failed:`);
  for (const [reason, times] of Object.entries(failures)) lines.push(`  ${count(times).padStart(8)}  ${reason}`);
  if (manifest !== null) lines.push(`  manifest: ${manifest}`);
  return lines.join("\n");
}

/** `999 bytes`, `1.2 kB`, `345.0 MB` */
export function size(bytes: number): string {
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = "bytes";
  for (const next of units) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  return unit === "bytes" ? `${value} bytes` : `${value.toFixed(1)} ${unit}`;
}
