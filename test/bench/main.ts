/**
 * `npm run bench`: Millrace beside stock BullMQ, its peers and what Redis can do at most, on servers of its own, in turns.
 *
 * Every reading is taken in fresh processes. A ratio is taken within a round, since a machine is not the same all day.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { drawn } from "../support/plot.ts";
import { compare } from "./compare.ts";
import { conditions, factsOf } from "./conditions.ts";
import { curvesOf } from "./curve.ts";
import { type Measure, sidesOf, smaller } from "./measure.ts";
import { measures, measuresOf } from "./measures.ts";
import { rowsOf, table, type Taken } from "./report.ts";
import { openStores } from "./store.ts";

const usage = `npm run bench -- [MEASURE...] [--rounds N] [--quick] [--aof] [--json FILE] [--plot FILE]
npm run bench -- profile MEASURE [--subject stock] [--quick]
npm run bench -- concurrency|thumbnail [--rounds N] [--quick]
npm run bench -- lists [--rounds N] [--quick] [--only TEXT]

  MEASURE      a name or its first words ("consume-100", "consume"); without, all of them
  profile      the ten main costs of the process that is measured, by self time, and a .cpuprofile of it
  concurrency  the in-process primitives beside p-queue, async-mutex and effection; needs no Redis
  thumbnail    the event loop's delay while a pool resizes pictures on all cores, in threads and inline
  lists        the commands that list, export and change jobs, on a million: first line and memory
  --only TEXT  of those, the commands that hold the text
  --rounds N   rounds that count, at least 1 (5)
  --quick      one round of a tenth of the jobs: shows that it runs, not how fast
  --aof        Redis writes its append-only file, once a second (without: nothing is persisted)
  --json FILE  writes every reading, too
  --plot FILE  where the curves of growth-* are drawn (growth.svg)

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
  ["lists", async () => (await import("./lists.ts")).benchLists({ rounds, quick: values.quick, only: values.only })],
  ["thumbnail", async () => (await import("./thumbnail.ts")).benchThumbnail({ rounds, quick: values.quick })],
]);
const alone = positionals.length === 1 ? apart.get(positionals[0] ?? "") : undefined;

/** Whoever stops it does not leave the folders of a demo behind. */
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

if (values.help) console.log(usage);
else if (alone === undefined && unknown.length > 0) refuse(`expected names of measures, got ${unknown.join(" ")}`);
else if (!Number.isInteger(rounds) || rounds < 1) refuse(`expected a whole number of rounds from 1, got ${values.rounds}`);
else if (alone !== undefined) await alone();
else if (isProfile) await profile();
else await bench(chosen);

async function bench(asked: readonly Measure[]): Promise<void> {
  await using stores = await openStores(asked.flatMap(sidesOf), { appendonly: values.aof ? "yes" : "no" });
  const taken: Taken[] = [];
  for (const measure of asked) {
    try {
      taken.push(await compare(measure, stores, { rounds, quick: values.quick }));
    } catch (error) {
      // The others, which may take half an hour, are not lost by it.
      console.error(error);
      process.exitCode = 1;
    }
  }
  const rows = taken.flatMap(rowsOf);
  const facts = factsOf(stores, { rounds, quick: values.quick, appendOnly: values.aof });
  console.log(`${table(rows)}\n\n${await conditions(facts, taken)}`);
  const curves = curvesOf(taken);
  if (curves.length > 0) await writeFile(values.plot, drawn(curves));
  if (values.json === undefined) return;
  const readings = taken.map(({ measure, readings: all }) => ({ measure: measure.name, sides: [...all].map(([side, of]) => ({ ...side, readings: of })) }));
  await writeFile(values.json, `${JSON.stringify({ conditions: facts, rows, readings }, null, 2)}\n`);
}

async function profile(): Promise<void> {
  const [measure] = chosen;
  const side = measure && sidesOf(measure).find(({ subject }) => subject === (values.subject ?? measure.first.subject));
  const canBe = side !== undefined && chosen.length === 1 && ["put", "put-many", "consume"].includes(side.work.kind);
  if (!canBe) refuse(`expected profile, one measure that puts or consumes, and for --subject one of its subjects`);
  const { benchProfile } = await import("./profile.ts");
  await benchProfile(measure!.name, values.quick ? { ...side, work: smaller(side.work) } : side);
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
        plot: { type: "string", default: "growth.svg" },
        subject: { type: "string" },
        only: { type: "string" },
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
