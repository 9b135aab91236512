/** Cheap rows of the faults, one phase each, with every run of the tests; all rows are played by `npm run test:faults`. */
import { expect, test } from "vitest";
import { ensureServer } from "../../src/redis/server.ts";
import { lines, rowOf } from "./report.ts";
import { rows } from "./rows.ts";
import { unhurried } from "./scenario.ts";
import { playPhase } from "./stage.ts";
import { subjects } from "./subject.ts";

const seed = Number(process.env["FAULTS_SEED"] ?? Date.now() % 1_000_000);

const quick = rows.filter(({ quick }) => quick).map((scenario) => unhurried(scenario, 10));

test.concurrent.each(quick.map((scenario) => [scenario.row, scenario.title, scenario] as const))("%s holds: %s", async (_row, _title, scenario) => {
  const { path } = await ensureServer(console.log);
  const phase = await playPhase(scenario, { subject: await subjects.millrace(), seed, serverProgram: path });
  const row = rowOf({ scenario, phases: [phase], tookMs: 0 });
  expect(row.verdict, lines(row)).toBe("holds");
}, 240_000);
