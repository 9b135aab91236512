/**
 * Durations by how often they came, in buckets that are the same everywhere: histograms of many processes are added up
 * bucket by bucket.
 *
 * Buckets are log-linear, as in HdrHistogram: four to each doubling, from 1/16 ms to four years. What is read from one is
 * within 12 % of what was recorded, and within 1/16 ms below a quarter of one; a mean within what its durations are, each by itself.
 */

const UNITS_PER_MS = 16;
/** What is longer is in the last bucket. */
const LONGEST_EXPONENT = 40;
const HIGH_EXPONENT = 16;
export const BUCKETS = 4 * LONGEST_EXPONENT;

/** The bucket of a duration; one below 0 counts as 0. */
export function bucketOf(ms: number): number {
  const units = ms * UNITS_PER_MS;
  if (!(units >= 4)) return units >= 1 ? Math.floor(units) : 0;
  // The bits of a number beyond 32 are not to be had.
  const above = units >= 2 ** 31 ? HIGH_EXPONENT : 0;
  const scaled = above === 0 ? units : Math.min(units, 2 ** (LONGEST_EXPONENT + 1) - 1) / 2 ** HIGH_EXPONENT;
  const exponent = 31 - Math.clz32(scaled);
  return 4 * (exponent + above - 1) + ((scaled >>> (exponent - 2)) & 3);
}

/** Where a bucket begins, in milliseconds; it ends where the next one begins. */
export function bucketStartMs(bucket: number): number {
  if (bucket < 4) return bucket / UNITS_PER_MS;
  const exponent = Math.floor(bucket / 4) + 1;
  return ((4 + (bucket % 4)) * 2 ** (exponent - 2)) / UNITS_PER_MS;
}

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);

  record(ms: number): void {
    this.#counts[bucketOf(ms)]! += 1;
  }

  /** Adds what another one has counted in a bucket. */
  add(bucket: number, count: number): void {
    if (bucket >= 0 && bucket < BUCKETS) this.#counts[bucket]! += count;
  }

  /** How many were recorded. */
  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** `[bucket, count]` of those that are not empty. */
  *buckets(): Generator<[bucket: number, count: number]> {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) if (this.#counts[bucket]! > 0) yield [bucket, this.#counts[bucket]!];
  }

  /** The duration that this share of all is not longer than, in milliseconds; `undefined` of an empty one. */
  percentile(share: number): number | undefined {
    let left = Math.max(1, Math.ceil(share * this.count));
    for (const [bucket, count] of this.buckets()) {
      left -= count;
      if (left <= 0) return middleMs(bucket);
    }
    return undefined;
  }

  /** In milliseconds; `undefined` of an empty one. */
  get mean(): number | undefined {
    let sum = 0;
    for (const [bucket, count] of this.buckets()) sum += count * middleMs(bucket);
    return sum === 0 ? undefined : sum / this.count;
  }
}

/** As far, in proportion, from either end of the bucket. */
function middleMs(bucket: number): number {
  const [start, end] = [bucketStartMs(bucket), bucketStartMs(bucket + 1)];
  return start === 0 ? end / 2 : (2 * start * end) / (start + end);
}
