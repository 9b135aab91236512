/** The trail: who changed what and when, and how it ended. */
import { check, checkOptions, type Duration } from "../options.ts";
import { readTrail, TRAIL_MS, type StoredEntry } from "../store/trail.ts";
import type { Operator } from "./operator.ts";

/** One entry of the trail. */
export interface TrailEntry {
  readonly id: string;
  /** By the server's clock, in milliseconds. */
  readonly at: number;
  readonly who: string;
  readonly command: string;
  readonly target: string;
  /** As JSON; cut off where it was long. */
  readonly details: string;
  /**
   * `begun`: it goes on, or whoever did it was ended in the middle. `done`: all that was asked, and nothing less. `failed`: not all of
   * it; `touched` says how much was done, and `error` what was not, also where some workers refused or did not answer.
   */
  readonly outcome: "begun" | "done" | "failed";
  /** How many jobs, schedules or workers it changed. */
  readonly touched: number | undefined;
  /** Of what failed: code and message of what ended it, or of what it did not do. */
  readonly error: string | undefined;
}

export interface AuditOptions {
  /** How far back. @default all that is kept: 90 days */
  readonly since?: Duration;
}

/**
 * The trail, oldest first.
 *
 * @throws OptionError before any I/O; BackendError
 */
export function audit(operator: Operator, options?: AuditOptions): AsyncIterable<TrailEntry> {
  const { since = TRAIL_MS } = checkOptions("audit", options, { since: check.duration() });
  return (async function* entries() {
    await operator.ready();
    const from = operator.connections.clock.now() - since;
    for await (const entry of readTrail(operator.connections.command, operator.prefix, from)) yield toEntry(entry);
  })();
}

function toEntry({ id, fields }: StoredEntry): TrailEntry {
  return {
    id,
    at: Number(id.split("-")[0]),
    who: fields["who"] ?? "",
    command: fields["command"] ?? "",
    target: fields["target"] ?? "",
    details: fields["details"] ?? "{}",
    outcome: (fields["outcome"] ?? "begun") as TrailEntry["outcome"],
    touched: fields["touched"] === undefined ? undefined : Number(fields["touched"]),
    error: fields["error"],
  };
}
