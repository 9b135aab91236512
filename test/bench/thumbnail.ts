/**
 * `npm run bench -- thumbnail`: how late the event loop is while a pool resizes pictures on all cores, in threads and inline.
 *
 * Every reading is taken in a fresh process, and the ways take turns.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { spread } from "./statistics.ts";
import { openRedis } from "./redis-store.ts";
import type { ThumbnailTurn } from "./thumbnail-turn.ts";

const run = promisify(execFile);
const turnMs = 3000;

const ways = [
  { name: "sharp, inline", job: "sharp", where: "inline" },
  { name: "sharp, in threads", job: "sharp", where: "threads" },
  { name: "JavaScript, inline", job: "JavaScript", where: "inline" },
  { name: "JavaScript, in threads", job: "JavaScript", where: "threads" },
] as const;
type Way = (typeof ways)[number];

/** Delays in milliseconds, pictures a second. */
type Reading = Readonly<Record<"p50" | "p99" | "max" | "rate", number>>;

export interface ThumbnailOptions {
  readonly rounds: number;
  /** A small picture for a tenth of the time: shows that it runs, not how fast. */
  readonly quick: boolean;
}

/** Prints a Markdown table. */
export async function benchThumbnail({ rounds, quick }: ThumbnailOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-thumbnail-"));
  try {
    const size = quick ? { width: 800, height: 600 } : { width: 4000, height: 3000 };
    const source = await picture(dir, size);
    const readings = new Map(ways.map((way): [Way, Reading[]] => [way, []]));
    await using redis = await openRedis({ appendonly: "no" });
    for (let round = 0; round < rounds; round += 1) {
      for (const at of ways.keys()) {
        const way = ways[(at + round) % ways.length] as Way;
        const reading = await take({ job: way.job, where: way.where, source, redisUrl: redis.url, runMs: quick ? turnMs / 10 : turnMs });
        console.error(`round ${round + 1}, ${way.name}: p99 ${reading.p99.toFixed(1)} ms, ${reading.rate.toFixed(1)} pictures a second`);
        readings.get(way)?.push(reading);
      }
    }
    console.log(`${table(readings)}\n\n${conditions(rounds, size)}`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Noise, which a photograph is nearer to than a plain colour is. */
async function picture(dir: string, size: { width: number; height: number }): Promise<string> {
  const path = join(dir, "picture.jpg");
  await sharp({ create: { ...size, channels: 3, background: "grey", noise: { type: "gaussian", mean: 128, sigma: 30 } } }).jpeg({ quality: 90 }).toFile(path);
  return path;
}

async function take(turn: ThumbnailTurn): Promise<Reading> {
  const program = new URL("thumbnail-turn.ts", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, ["--conditions=millrace-source", program, JSON.stringify(turn)], {
    env: { ...process.env, NODE_ENV: "production" },
    timeout: 120_000,
  });
  return JSON.parse(stdout) as Reading;
}

function table(readings: ReadonlyMap<Way, readonly Reading[]>): string {
  const lines = [...readings].map(([{ name }, all]) => [name, ...(["p50", "p99", "max", "rate"] as const).map((key) => shown(all.map((reading) => reading[key])))]);
  const head = ["the job", "loop delay p50, ms", "p99, ms", "most, ms", "pictures a second"];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** `12.3 (11.0-15.1)` */
function shown(values: readonly number[]): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(1)} (${min.toFixed(1)}-${max.toFixed(1)})`;
}

function conditions(rounds: number, { width, height }: { width: number; height: number }): string {
  const busy = loadavg()[0]?.toFixed(1) ?? "unknown";
  return `Median (least-most) of ${rounds} round${rounds === 1 ? "" : "s"}; a pool with a slot a core and twice as many jobs on their way, each on a JPEG of
${width} x ${height}. sharp ${sharp.versions.sharp}, Node ${process.version}, ${availableParallelism()} cores of ${cpus()[0]?.model ?? "unknown"}; load average ${busy}.

- The delay is that of the loop that runs the pool, puts the jobs and awaits their results. It is what monitorEventLoopDelay
  tells, which looks every millisecond: it counts that millisecond, too. A long block is one look among thousands: p99 may
  hide what the most shows.
- sharp resizes on libuv's pool of threads (4 unless UV_THREADPOOL_SIZE says otherwise), which all threads of a process
  share. It leaves the loop free by itself, inline too: threads of ours change little for it.
- JavaScript averages the pixels in one go, as a library without threads of its own would do: there threads are what
  frees the loop.`;
}
