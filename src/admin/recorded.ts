/** Writes a change to the trail: that it has begun, then, in the place of that, how it ended. */
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { writeTrail, type TrailFields } from "../store/trail.ts";

/** A change, as it is asked for. */
export interface Change {
  /** As typed: `"queue pause"`. */
  readonly command: string;
  /** What it is done to: a queue, a job of one (`"mail/17"`), a worker. */
  readonly target: string;
  /** What else was said: filters, reasons, new values. No secrets; what exceeds 1 kB as JSON is cut off. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Who writes, and where. */
export interface Recorder {
  readonly who: string;
  readonly prefix: string;
  readonly connections: Connections;
  readonly log: Logger;
}

/** What the trail is to say of a change besides how much it touched. */
export interface Touched extends Partial<Pick<Change, "target" | "details">> {
  /** An error that tells what was asked and is not done, though nobody throws it: whoever looks for what did not go well is to find the change. */
  readonly missed?: { readonly code: string; readonly message: string } | undefined;
}

/** Counts what a change has touched so far: jobs, schedules, workers. Target and details take the place of those that were typed. */
export type Touch = (count: number, what?: Touched) => void;

const LONGEST = 1000;

/** Does what it is given between two entries, of which the second takes the place of the first. */
export async function recorded<T>(recorder: Recorder, change: Change, work: (touch: Touch) => Promise<T>): Promise<T> {
  const begun = await write(recorder, change, { outcome: "begun" });
  let done = change;
  let touched: number | undefined;
  let missing: Touched["missed"];
  const touch: Touch = (count, { missed, ...what } = {}) => {
    touched = count;
    missing = missed;
    done = { ...change, ...what };
  };
  const end = (fields: TrailFields): Promise<void> => writeOrWarn(recorder, done, touched, fields, begun);
  let result: T;
  try {
    result = await work(touch);
  } catch (error) {
    await end({ outcome: "failed", error: told(error) });
    throw error;
  }
  await end(missing === undefined ? { outcome: "done" } : { outcome: "failed", error: told(missing) });
  return result;
}

/** One entry of something that is done. Never throws. */
export function note(recorder: Recorder, change: Change, touched: number): Promise<void> {
  return writeOrWarn(recorder, change, touched, { outcome: "done" });
}

/** What was done is done, and where it had begun the trail says that. */
async function writeOrWarn(recorder: Recorder, change: Change, touched: number | undefined, fields: TrailFields, replaces?: string): Promise<void> {
  try {
    await write(recorder, change, { ...fields, ...(touched !== undefined && { touched: String(touched) }) }, replaces);
  } catch (error) {
    recorder.log.warn(`the trail does not say how ${change.command} of ${change.target} ended: ${(error as Error).message}`);
  }
}

function write({ connections, prefix, who }: Recorder, { command, target, details = {} }: Change, fields: TrailFields, replaces?: string): Promise<string> {
  return writeTrail(connections.command, prefix, { who, command, target, details: JSON.stringify(details).slice(0, LONGEST), ...fields }, replaces);
}

function told(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return `${typeof code === "string" ? `${code}: ` : ""}${typeof message === "string" ? message : String(error)}`.slice(0, LONGEST);
}
