/** `npm run test:faults`: breaks processes and servers in mid-work, row by row of the faults, and says what held. */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { monotonicMs } from "../support/journal.ts";
import type { ServerProgram } from "../support/server-image.ts";
import { mergeInto } from "./merge.ts";
import { lines, rowOf, type Row } from "./report.ts";
import { rows } from "./rows.ts";
import type { Phase, Scenario } from "./scenario.ts";
import { playPhase } from "./stage.ts";
import { subjects, type Subject } from "./subject.ts";
import { suiteServer, type SuiteServer } from "./suite-server.ts";
import { addToReport, type Conditions } from "./written-report.ts";

const usage = `npm run test:faults -- [ROW...] [--phases N] [--seed S] [--subject millrace|bullmq] [--report DIR] [--keep]

  ROW            ${rows.map(({ row }) => row).join(", ")}; without, all of them
  --phases N     random moments that each row is played at, at least 1 (5)
  --seed S       repeats those of an earlier run; phase i is phase 1 of the seed S + i - 1
  --subject      who is put to the test (millrace); bullmq: its own Queue and Worker, as its documentation sets them up
  --keep         leaves the ledgers of broken phases, and what their processes wrote, and says where
  --containers   runs the servers in containers, where a Docker engine answers (or FAULTS_CONTAINERS=1)
  --report DIR   writes faults-SUBJECT.md and faults-SUBJECT.json there; what is there of other rows stays
  --merge DIR    plays nothing: makes the README's table of what was written there for both subjects

Ends with 0 when every row holds, 5 when one does not, 2 when it does not understand.`;

const EXIT = { usage: 2, findings: 5 } as const;
const { positionals, values } = readArguments();
const phases = Number(values.phases);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const named = new Set(positionals.map((word) => word.toUpperCase()));
const chosen = rows.filter(({ row }) => named.size === 0 || named.has(row));

if (values.help) console.log(usage);
else if (values.merge !== undefined) merge(values.merge);
else if (!Number.isInteger(phases) || phases < 1) refuse(`expected a whole number of phases from 1, got ${values.phases}`);
else if (!Number.isInteger(seed) || seed < 0) refuse(`expected a whole number as the seed, got ${values.seed}`);
else if (!Object.hasOwn(subjects, values.subject)) refuse(`expected millrace or bullmq as the subject, got ${values.subject}`);
else if (chosen.length < named.size || chosen.length === 0) refuse(`expected rows, got ${positionals.join(" ")}`);
else await test(await subjects[values.subject as Subject["name"]](), await suiteServer(values.containers).catch((error: Error) => refuse(error.message)));

async function test(subject: Subject, server: SuiteServer): Promise<void> {
  console.log(`${subject.name}, seed ${seed}, ${phases} phase${phases === 1 ? "" : "s"} a row`);
  const played: Row[] = [];
  for (const scenario of chosen) {
    const startedAt = monotonicMs();
    const row = rowOf({ scenario, phases: await play(scenario, subject, server.program), tookMs: monotonicMs() - startedAt });
    played.push(row);
    console.log(lines(row));
    if (values.report !== undefined) addToReport(values.report, subject.name, { ...row, conditions: conditions(server.version) });
  }
  const broken = played.filter(({ verdict }) => verdict === "broken");
  console.log(broken.length === 0 ? `all ${played.length} hold` : `${played.length - broken.length} hold; broken: ${broken.map(({ row }) => row).join(", ")}`);
  if (broken.length > 0) process.exitCode = EXIT.findings;
}

/** The phases of a row, several at a time where it allows that. */
async function play(scenario: Scenario, subject: Subject, serverProgram: ServerProgram): Promise<readonly Phase[]> {
  const count = Math.min(phases, scenario.mostPhases ?? phases);
  const done: Phase[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const at = next++;
      done[at] = await playPhase(scenario, { subject, seed: seed + at, serverProgram, keep: values.keep });
    }
  };
  await Promise.all(Array.from({ length: scenario.together ?? 1 }, lane));
  return done;
}

function merge(dir: string): void {
  try {
    mergeInto(fileURLToPath(new URL("../../README.md", import.meta.url)), dir);
  } catch (error) {
    refuse((error as Error).message);
  }
}

function conditions(redis: string): Conditions {
  const { version: bullmq } = createRequire(import.meta.url)("bullmq/package.json") as { version: string };
  return { date: new Date().toISOString().slice(0, 10), seed, redis, bullmq, node: process.version, cores: availableParallelism() };
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        phases: { type: "string", default: "5" },
        seed: { type: "string" },
        subject: { type: "string", default: "millrace" },
        report: { type: "string" },
        merge: { type: "string" },
        containers: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(message: string): never {
  console.error(`${message}\n\n${usage}`);
  process.exit(EXIT.usage);
}
