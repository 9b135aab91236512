/** What a process tells of its tasks to whoever may ask: plain data. */
import { taskTraces } from "./debug.ts";
import { liveTasks, type OwnedTask } from "./task.ts";

export interface ReportedTask {
  readonly id: number;
  readonly name: string;
  /** The id of the task that started it, while that lives. */
  readonly parent: number | null;
  readonly ageMs: number;
  /** It was asked to end, and has not yet. */
  readonly cancelling: boolean;
  /** Innermost first; null while debug mode is off, or as long as it has awaited nothing. */
  readonly waitsAt: readonly string[] | null;
  /** As `waitsAt`. */
  readonly spawnedAt: readonly string[] | null;
}

export interface TaskReport {
  readonly pid: number;
  readonly command: readonly string[];
  readonly uptimeMs: number;
  readonly debug: boolean;
  /** Those that are not done, oldest first. */
  readonly tasks: readonly ReportedTask[];
}

export function taskReport(): TaskReport {
  const now = performance.now();
  return {
    pid: process.pid,
    command: process.argv,
    uptimeMs: Math.round(process.uptime() * 1000),
    debug: taskTraces() !== undefined,
    tasks: [...liveTasks()].map((task) => reported(task, now)),
  };
}

function reported(task: OwnedTask<unknown>, now: number): ReportedTask {
  const traces = taskTraces();
  return {
    id: task.id,
    name: task.name,
    parent: (task.parent as OwnedTask<unknown> | undefined)?.id ?? null,
    // A task that is older than the wish to know was there when the process began, near enough.
    ageMs: Math.round(now - (task.spawnedAtMs ?? 0)),
    cancelling: task.cancelling > 0,
    waitsAt: listed(traces?.waitsAt(task)),
    spawnedAt: listed(traces?.spawnedAt(task)),
  };
}

function listed(frames: readonly string[] | undefined): readonly string[] | null {
  return frames === undefined || frames.length === 0 ? null : frames;
}
