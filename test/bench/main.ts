/**
 * `npm run bench`: Millrace beside stock BullMQ, on one Redis of its own, turn by turn.
 *
 * Every reading is taken in fresh processes. The sides take turns, and change who begins with every round; the first
 * round warms up and does not count. A ratio is taken within a round, since a machine is not the same all day.
 */
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { measures, measuresOf, smaller, type Measure, type Reading } from "./measure.ts";
import { withRedis } from "./redis.ts";
import { rowsOf, table, type Taken } from "./report.ts";
import { takeReading } from "./run.ts";
import { settings } from "./subject.ts";

const usage = `npm run bench -- [MEASURE...] [--rounds N] [--quick] [--aof] [--json FILE]
npm run bench -- profile MEASURE [--subject stock]
npm run bench -- concurrency|thumbnail [--rounds N] [--quick]

  MEASURE      a name or its first words ("consume-100", "consume"); without, all of them
  profile      the ten main costs of the process that is measured, by self time, and a .cpuprofile of it
  concurrency  the in-process primitives beside p-queue, async-mutex and effection; needs no Redis
  thumbnail    the event loop's delay while a pool resizes pictures on all cores, in threads and inline
  --rounds N   rounds that count, at least 1 (5)
  --quick      one round of a tenth of the jobs: shows that it runs, not how fast
  --aof        Redis writes its append-only file, once a second (without: nothing is persisted)
  --json FILE  writes every reading, too

Measures: ${measures.map(({ name }) => name).join(", ")}`;

const { positionals, values } = readArguments();
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const isProfile = positionals[0] === "profile";
const words = isProfile ? positionals.slice(1) : positionals;
const chosen = positionals.length === 0 ? measures : [...new Set(words.flatMap(measuresOf))];
const unknown = words.filter((word) => measuresOf(word).length === 0);
/** Benchmarks that stand alone. */
const apart = new Map([
  ["concurrency", async () => (await import("./concurrency.ts")).benchConcurrency({ rounds, quick: values.quick })],
  ["thumbnail", async () => (await import("./thumbnail.ts")).benchThumbnail({ rounds, quick: values.quick })],
]);
const alone = positionals.length === 1 ? apart.get(positionals[0] ?? "") : undefined;

if (values.help) console.log(usage);
else if (alone === undefined && unknown.length > 0) refuse(`expected names of measures, got ${unknown.join(" ")}`);
else if (!Number.isInteger(rounds) || rounds < 1) refuse(`expected a whole number of rounds from 1, got ${values.rounds}`);
else if (alone !== undefined) await alone();
else if (isProfile) await profile();
else await bench(values.quick ? chosen.map(smaller) : chosen);

async function profile(): Promise<void> {
  const [measure] = chosen;
  if (measure === undefined || chosen.length > 1 || measure.kind === "latency") refuse("expected one measure that puts or consumes after profile");
  const { subject } = values;
  if (subject !== "millrace" && subject !== "stock") refuse(`expected millrace or stock for --subject, got ${subject}`);
  const { benchProfile } = await import("./profile.ts");
  await benchProfile(values.quick ? smaller(measure) : measure, subject);
}

async function bench(asked: readonly Measure[]): Promise<void> {
  await withRedis({ appendonly: values.aof ? "yes" : "no" }, async ({ url, version }) => {
    const taken: Taken[] = [];
    for (const measure of asked) taken.push(await compare(measure, url));
    const rows = taken.flatMap(rowsOf);
    console.log(`${table(rows)}\n\n${conditions(version)}`);
    if (values.json === undefined) return;
    await writeFile(values.json, `${JSON.stringify({ conditions: facts(version), rows, taken }, null, 2)}\n`);
  });
}

async function compare(measure: Measure, redisUrl: string): Promise<Taken> {
  const readings = { stock: [] as Reading[], millrace: [] as Reading[] };
  for (let round = values.quick ? 1 : 0; round <= rounds; round += 1) {
    const order = round % 2 === 0 ? (["stock", "millrace"] as const) : (["millrace", "stock"] as const);
    for (const subject of order) {
      const reading = await takeReading(round === 0 ? smaller(measure) : measure, subject, redisUrl, "bench");
      const said = Object.entries(reading).map(([quantity, value]) => `${quantity} ${value.toFixed(1)}`);
      console.error(`${measure.name}, ${round === 0 ? "warm-up" : `round ${round}`}, ${subject}: ${said.join(", ")}`);
      if (round > 0) readings[subject].push(reading);
    }
  }
  return { measure, ...readings };
}

function facts(redisVersion: string): Record<string, string | number | boolean> {
  const { version: bullmq } = createRequire(import.meta.url)("bullmq/package.json") as { version: string };
  const cpu = cpus()[0]?.model ?? "unknown";
  const machine = { node: process.version, cpu, cores: availableParallelism() };
  return { ...machine, bullmq, redis: redisVersion, appendOnly: values.aof, rounds, quick: values.quick };
}

function conditions(redisVersion: string): string {
  const { node, bullmq, cpu, cores } = facts(redisVersion);
  return `Median (least-most) of ${rounds} round${rounds === 1 ? "" : "s"}; a ratio is Millrace by BullMQ within one round, the median of the rounds.
BullMQ ${bullmq}, Redis ${redisVersion} (append-only file ${values.aof ? "on" : "off"}), Node ${node}, ${cores} cores of ${cpu}, shared by all processes.

- The same on both sides: TCP on the loopback, a payload of about 200 bytes, a handler that does nothing,
  attempts ${settings.attempts} with exponential back-off, leases of ${settings.leaseMs / 1000} s, the last ${settings.keepCompleted} completed jobs kept.
- Each side consumes what it put itself. Millrace gives its jobs ids of their own and checks each payload for what JSON
  cannot carry; BullMQ counts its ids and checks nothing.
- put-many: for BullMQ, addBulk by 1000, one after the other.
- consume: from the call of the handler that ends the warm-up to the call of the last one; work waits all the while.
- latency: from the call of put in one process to the call of the handler in another whose queue is empty.`;
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: "string" },
        quick: { type: "boolean", default: false },
        aof: { type: "boolean", default: false },
        json: { type: "string" },
        subject: { type: "string", default: "millrace" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(message: string): never {
  console.error(`${message}\n\n${usage}`);
  process.exit(2);
}
