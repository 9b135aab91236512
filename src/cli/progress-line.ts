/** How a long command gets on: one line that rewrites itself on a terminal, a plain line every few seconds elsewhere. */
import { startTicker } from "../concurrency/timer.ts";
import { count, seconds } from "./quantity.ts";

/** Where it stands now. */
export interface Progress {
  readonly put: number;
  readonly running: number;
  readonly done: number;
  /** What is put and not done. */
  readonly left: number;
  /** More may be put. */
  readonly growing: boolean;
}

export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const terminalMs = 200;
const plainMs = 3000;
/** The rate is that of the last few seconds. */
const rateMs = 5000;
export const ERASE_LINE = "\r\u001b[2K";

/**
 * Shows progress until it is stopped.
 *
 * @param look  says where things stand; while it fails (Redis is away) nothing is shown
 * @returns stops it; resolves once nothing more is written
 */
export function showProgress(stream: ProgressStream, look: () => Promise<Progress>, everyMs = stream.isTTY === true ? terminalMs : plainMs): () => Promise<void> {
  const seen: { readonly at: number; readonly done: number }[] = [];
  let looking: Promise<void> = Promise.resolve();
  let busy = false;
  let stopped = false;

  const show = async (): Promise<void> => {
    busy = true;
    const progress = await look().catch(() => undefined);
    busy = false;
    if (progress === undefined || stopped) return;
    const at = performance.now();
    seen.push({ at, done: progress.done });
    while (seen.length > 2 && at - (seen[0]?.at ?? at) > rateMs) seen.shift();
    const first = seen[0] ?? { at, done: 0 };
    const text = progressText(progress, at === first.at ? undefined : ((progress.done - first.done) / (at - first.at)) * 1000);
    stream.write(stream.isTTY === true ? overLine(stream, text) : `${text}\n`);
  };
  const stopShowing = startTicker(everyMs, () => {
    if (!busy) looking = show();
  });

  return async () => {
    stopped = true;
    stopShowing();
    await looking;
    if (stream.isTTY === true) stream.write(ERASE_LINE);
  };
}

/** A text in place of the terminal's line, and no longer than that. */
export function overLine({ columns = 80 }: ProgressStream, text: string): string {
  return `${ERASE_LINE}${text.slice(0, columns - 1)}`;
}

/**
 * `3,210 put, 16 running, 2,000 done, 950/s, 1,210 left, 2 s`
 *
 * @param rate  jobs a second; undefined while it is not known
 */
export function progressText({ put, running, done, left, growing }: Progress, rate: number | undefined): string {
  const parts = [`${count(put)}${growing ? "+" : ""} put`, `${count(running)} running`, `${count(done)} done`];
  if (rate !== undefined) parts.push(`${count(Math.round(rate))}/s`);
  parts.push(`${count(left)} left`);
  if (rate !== undefined && rate > 0 && !growing) parts.push(seconds((left / rate) * 1000));
  return parts.join(", ");
}
