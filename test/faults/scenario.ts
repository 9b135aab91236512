/** What a scenario is: one row of the faults, what is done to the subject, and what is measured against which targets. */
import type { Stage } from "./stage.ts";

export interface Target {
  /** What is measured, in words that end before the figure: "run again after". */
  readonly label: string;
  /** In the unit that the figure's name ends in (`Ms`), or a count. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Scenario<F extends string = string> {
  /** "F1" */
  readonly row: string;
  readonly title: string;
  readonly targets: Readonly<Record<F, Target>>;
  /** Phases that may run at the same time, where they mostly wait. @default 1 */
  readonly together?: number;
  /** Short and steady enough to be played with every run of the tests, in so many phases; `true` is five. */
  readonly quick?: true | number;
  /** More phases would tell no more. */
  readonly mostPhases?: number;
  /** Plays one phase, at moments that the stage's chance decides. @returns what was measured */
  play(stage: Stage): Promise<Readonly<Record<F, number>>>;
}

export function scenario<F extends string>(made: Scenario<F>): Scenario<F> {
  return made;
}

/** What one phase showed. */
export interface Phase {
  /** Repeats it. */
  readonly seed: number;
  readonly figures: Readonly<Record<string, number>>;
  /** Of the checker; and the error, if the scenario could not be played to its end. */
  readonly contradictions: readonly string[];
}

export function meets(figure: number, { atMost = Infinity, atLeast = -Infinity }: Target): boolean {
  return figure <= atMost && figure >= atLeast;
}

/** The figure that is farthest on the wrong side of its target. */
export function worst(figures: readonly number[], target: Target): number {
  return target.atLeast === undefined ? Math.max(...figures) : Math.min(...figures);
}

export function holds({ targets }: Scenario, { figures, contradictions }: Phase): boolean {
  return contradictions.length === 0 && Object.entries(targets).every(([name, target]) => meets(figures[name] ?? Number.NaN, target));
}

/** The same scenario where the machine is anybody's: what may not happen stays, what must be fast may take so many times as long. */
export function unhurried(scenario: Scenario, times: number): Scenario {
  const relaxed = ([name, target]: [string, Target]): [string, Target] =>
    name.endsWith("Ms") && target.atMost !== undefined ? [name, { ...target, atMost: target.atMost * times }] : [name, target];
  return { ...scenario, targets: Object.fromEntries(Object.entries(scenario.targets).map(relaxed)) };
}
