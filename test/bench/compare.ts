/**
 * Takes all readings of a measure: its sides take turns, and another begins with every round. The first round warms up and
 * does not count.
 */
import { type Measure, type Reading, type Side, sidesOf, smaller } from "./measure.ts";
import { takeReading } from "./reading.ts";
import { said, type Taken } from "./report.ts";
import type { Stores } from "./store.ts";

export interface Rounds {
  readonly rounds: number;
  /** One round of a tenth, and none before it. */
  readonly quick: boolean;
}

/** A side whose server is not on this machine is left out. */
export async function compare(measure: Measure, stores: Stores, { rounds, quick }: Rounds): Promise<Taken> {
  const readings = new Map<Side, Reading[]>();
  for (const side of sidesOf(measure)) if ((await stores.of(side)) !== undefined) readings.set(side, []);
  const taking = [...readings.keys()];
  const last = measure.once ? 1 : rounds;
  for (let round = quick || measure.once ? 1 : 0; round <= last; round += 1) {
    for (const at of taking.keys()) {
      const side = taking[(at + round) % taking.length]!;
      const store = await stores.of(side);
      const asked = round === 0 || quick ? { ...side, work: smaller(side.work) } : side;
      const reading = await takeReading(asked, store!).catch((cause: unknown) => {
        throw new Error(`${measure.name}, ${side.label}: ${(cause as Error).message}`, { cause });
      });
      console.error(`${measure.name}, ${round === 0 ? "warm-up" : `round ${round}`}, ${side.label}: ${said(reading)}`);
      if (round > 0) readings.get(side)?.push(reading);
    }
  }
  return { measure, readings };
}
