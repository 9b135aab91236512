/** The way out of a move whose target is lost: what is parked goes back to where it stood, and the move is forgotten. */
import { StateError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { giveBack, parkedJobs, standingMove } from "../store/parked.ts";
import type { Operator } from "./operator.ts";

export interface GiveBackOptions {
  /** Looks, and changes nothing. @default false */
  readonly dryRun?: boolean;
}

export interface GivenBack {
  readonly queue: string;
  /** Where the move went to. */
  readonly to: string;
  /** Jobs that stand where they stood again, or would. */
  readonly jobs: number;
}

/**
 * Gives back the batch that an interrupted move has on its way, at most 500 jobs of each partition, and forgets the move: the next one
 * may go anywhere. What has been moved is not brought back. Nobody asks the target: had it got that batch before the move was
 * interrupted, its jobs are in both queues then, and may run twice. A move that runs all the same ends with a StateError.
 *
 * @throws OptionError, ReadOnlyError before any I/O; NotFoundError; StateError where no move stands; BackendError; the same again does the rest
 */
export async function giveBackMove(operator: Operator, name: string, options?: GiveBackOptions): Promise<GivenBack> {
  const { dryRun = false } = checkOptions("giveBackMove", options, { dryRun: check.boolean() });
  operator.queue(name);
  if (!dryRun) operator.assertMayChange("queue move");
  const parts = await Promise.all((await operator.parts(name)).map(async (part) => ({ part, move: await standingMove(part), jobs: (await parkedJobs(part)).length })));
  const moving = parts.flatMap(({ move, ...rest }) => (move === undefined ? [] : [{ ...rest, move }]));
  const [first] = moving;
  if (first === undefined) throw new StateError(`expected a move of ${name} that was interrupted, but none stands: nothing is on its way`);
  const { to } = first.move;
  if (dryRun) return { queue: name, to, jobs: moving.reduce((sum, { jobs }) => sum + jobs, 0) };
  return operator.change({ command: "queue move", target: name, details: { giveBack: true, to } }, async (touch) => {
    let jobs = 0;
    for (const { part, move } of moving) touch((jobs += await giveBack(part, move.id)));
    return { queue: name, to, jobs };
  });
}
