/** The rows of the faults that are short and steady, up to five phases each, with every run of the tests; `npm run test:faults` plays all. */
import { expect, test } from "vitest";
import { lines, rowOf } from "./report.ts";
import { rows } from "./rows.ts";
import { unhurried } from "./scenario.ts";
import { playPhase } from "./stage.ts";
import { subjects } from "./subject.ts";
import { suiteServer } from "./suite-server.ts";

const PHASES = 5;
const seed = Number(process.env["FAULTS_SEED"] ?? Date.now() % 1_000_000);

const phases = rows.filter(({ quick }) => quick).flatMap((row) => {
  const scenario = unhurried(row, 10);
  return Array.from({ length: Math.min(typeof row.quick === "number" ? row.quick : PHASES, row.mostPhases ?? PHASES) }, (_, i) => [row.row, i + 1, row.title, scenario] as const);
});

test.concurrent.each(phases)("%s holds, phase %i: %s", async (_row, phase, _title, scenario) => {
  const { program: serverProgram } = await suiteServer();
  const played = await playPhase(scenario, { subject: await subjects.millrace(), seed: seed + phase - 1, serverProgram });
  const row = rowOf({ scenario, phases: [played], tookMs: 0 });
  expect(row.verdict, lines(row)).toBe("holds");
}, 240_000);
