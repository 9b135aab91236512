/** What a worker answers to who asks for its health: one process, and a supervisor for all of its own. */
import type { WorkerReport, WorkerState } from "../pool/supervision.ts";
import type { WorkerProcess } from "../pool/worker-process.ts";
import type { Health } from "./health.ts";

/** Who has told nothing of itself for so long is held up, and will not answer either. */
const SILENT_MS = 30_000;

/** Of a process before it can tell. */
export const STARTING: WorkerReport = Object.freeze({ state: "starting", running: 0, ended: 0, stuck: 0, rssBytes: 0, redis: false });

/** Whoever can answer is alive. */
export function healthOf(report: WorkerReport): Health {
  return { live: true, ready: report.state === "ready" && report.redis, report };
}

/** Ready when a process in every place is; alive while one of them tells of itself, or none is there to. */
export function healthOfAll(workers: readonly WorkerProcess[], places: number, isStopping: boolean): Health {
  const reports = workers.map(({ place, pid, report = STARTING }) => ({ place, pid, ...report }));
  const isEverywhere = (...states: readonly WorkerState[]): boolean => new Set(reports.filter(({ state }) => states.includes(state)).map(({ place }) => place)).size === places;
  const isReady = isEverywhere("ready");
  const state = isStopping ? "draining" : isReady ? "ready" : isEverywhere("ready", "quiet") ? "quiet" : "starting";
  const redis = reports.length > 0 && reports.every((report) => report.redis);
  const sum = (count: (report: WorkerReport) => number): number => reports.reduce((total, report) => total + count(report), 0);
  return {
    live: workers.length === 0 || workers.some(({ silentMs }) => silentMs < SILENT_MS),
    ready: state === "ready" && redis,
    report: { state, running: sum(({ running }) => running), stuck: sum(({ stuck }) => stuck), redis, processes: reports },
  };
}
