/** Numbers as people read them in a hurry: counts, lengths of time, sizes. */

/** `1,234,567` */
export function count(value: number): string {
  // `Intl` takes long to load.
  return Number.isSafeInteger(value) ? String(value).replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, ",") : value.toLocaleString("en-US");
}

/** `1 job`, `1,234 jobs` */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `0.4 s`, `12 s`, `3 min 20 s` */
export function seconds(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** `0.8 ms`, `12 ms`, `340 ms`, then as `seconds`; below 0 with its sign. */
export function milliseconds(ms: number): string {
  if (ms < 0) return `-${milliseconds(-ms)}`;
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : ms < 999.5 ? `${Math.round(ms)} ms` : seconds(ms);
}

const SPANS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const;

/** In one unit, for a column: `12 s`, `3 min`, `5 h`, `14 d`; `0 s` below a second. */
export function span(ms: number): string {
  const [unit, length] = SPANS.find(([, length]) => ms >= length) ?? ["s", 1000];
  return `${count(Math.floor(Math.max(0, ms) / length))} ${unit}`;
}

/** Exact, in the largest unit that is: `90 s`, `1 h`, `250 ms`. */
export function period(ms: number): string {
  const [unit, length] = SPANS.find(([, length]) => ms > 0 && ms % length === 0) ?? ["ms", 1];
  return `${count(ms / length)} ${unit}`;
}

/** `812 B`, `4.2 kB`, `64 MB`: each unit 1024 of the one before. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = bytes;
  while (value >= 1023.95 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}
