/**
 * `worker start --processes N`: a supervisor of N processes, each of which is this command again.
 *
 * They end with it, however it ends: told to, gracefully; killed, since they notice that their channel to it is gone.
 */
import { fork } from "node:child_process";
import { PLACE_VARIABLE } from "../pool/supervision.ts";
import { Supervisor } from "../pool/supervisor.ts";
import type { WorkerProcess } from "../pool/worker-process.ts";
import type { Context } from "./context.ts";
import type { Cause } from "./interruption.ts";
import { serveHealth, type Health } from "./health.ts";
import { steerBySignals } from "./steer-by-signals.ts";
import { stopTimes } from "./stop-times.ts";
import { healthOfAll } from "./worker-health.ts";
import { scrapeAll } from "./worker-metrics.ts";

/** What a process may take beyond what it gives itself: its loop may be held up. */
const LATE_MS = 1000;

/** @returns 0 when it was told to end, and all processes did in their time; else 1; that of the first process when none could start */
export async function supervise(context: Context, processes: number): Promise<number> {
  const { config, log, output, interruption } = context;
  const { maxRssBytes, maxJobs, maxStuck } = config;
  const { leaveAfterMs } = stopTimes(config);
  log.info({ processes, maxRssBytes, maxJobs, maxStuck }, "supervisor starts");
  let health: (() => Health) | undefined;
  let workers: () => readonly WorkerProcess[] = () => [];
  using endpoint =
    config.health === undefined ? undefined : await serveHealth(config.health, () => health?.() ?? healthOfAll([], processes, false), () => scrapeAll(workers()));
  if (endpoint !== undefined) log.info({ at: endpoint.at }, "health endpoint answers");
  await output.result(undefined, { event: "supervising", pid: process.pid, processes });
  const supervisor = new Supervisor({
    processes,
    fork: (place) =>
      fork(process.argv[1]!, process.argv.slice(2), {
        env: { ...process.env, [PLACE_VARIABLE]: String(place) },
        // Two processes cannot listen where a debugger is to come in.
        execArgv: process.execArgv.filter((flag) => !flag.startsWith("--inspect")),
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      }),
    limits: { maxRssBytes, maxJobs, maxStuck },
    withinMs: { stop: leaveAfterMs.stop + LATE_MS, hurry: leaveAfterMs.hurry + LATE_MS },
    log,
    onEvent: (event) => void output.result(undefined, event),
  });
  workers = () => supervisor.alive;
  health = () => healthOfAll(supervisor.alive, supervisor.places, supervisor.isStopping);
  using _ = steerBySignals((steer, by) => {
    log.info({ by, processes: supervisor.alive.length }, `supervisor says ${steer.order} to its processes`);
    supervisor.steer(steer);
  });
  const order = (order: "stop" | "hurry", cause: Cause): void => {
    const by = cause === "SIGPIPE" ? "SIGTERM" : cause;
    log.info({ by: cause, processes: supervisor.alive.length }, order === "stop" ? "supervisor stops" : "supervisor has all given back at once");
    supervisor.order({ order, by });
  };
  interruption.onAgain = (cause) => order("hurry", cause);
  const stop = (): void => order("stop", interruption.cause ?? "SIGTERM");
  if (interruption.signal.aborted) stop();
  else interruption.signal.addEventListener("abort", stop, { once: true });
  const code = await supervisor.done;
  log.info("supervisor has ended");
  await output.result(undefined, { event: "ended", pid: process.pid });
  return code;
}
