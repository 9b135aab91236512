/**
 * A process that runs a pool of handlers until it is told to end: by signals, or by its supervisor.
 *
 * The first SIGTERM or Ctrl-C stops the pool: no new jobs, what runs may finish, then it is cancelled and given back.
 * The second gives it back at once. Either way the process ends, whatever its handlers do.
 */
import { once } from "node:events";
import { startTimer } from "../concurrency/timer.ts";
import type { App } from "../app.ts";
import type { Pool } from "../pool/pool.ts";
import type { Queue } from "../queue/queue.ts";
import type { Supervised } from "../pool/supervised.ts";
import type { WorkerReport } from "../pool/supervision.ts";
import { endWithParent } from "../queue/parent.ts";
import { openApp, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { findHandlers } from "./find-handlers.ts";
import { serveHealth } from "./health.ts";
import { steerBySignals } from "./steer-by-signals.ts";
import { SteeredPool } from "./steered-pool.ts";
import { stopTimes } from "./stop-times.ts";
import { healthOf, STARTING } from "./worker-health.ts";
import { openWorkerMetrics, scrapeOne } from "./worker-metrics.ts";

/**
 * @returns 0 when it was told to end and did; 1 when an error nobody caught ended it, or it did not end in its time
 * @throws NotFoundError, OptionError before anything starts; what ended the pool
 */
export async function work(context: Context, supervised: Supervised | undefined): Promise<number> {
  const { config, log, output, interruption } = context;
  const { signal } = interruption;
  const steered = new SteeredPool(log);
  using _ = steerBySignals((steer, by) => steered.steer(steer, by));
  if (supervised !== undefined) obey(supervised, steered, context);
  let report = (): WorkerReport => STARTING;
  let queues: readonly Queue[] = [];
  using metrics = config.health === undefined ? undefined : await openWorkerMetrics(() => report(), () => queues);
  if (metrics !== undefined) supervised?.answerMetrics(() => metrics.data());
  // A supervisor answers for all.
  using endpoint = supervised !== undefined || config.health === undefined ? undefined : await serveHealth(config.health, () => healthOf(report()), () => scrapeOne(metrics!));
  if (endpoint !== undefined) log.info({ at: endpoint.at }, "health endpoint answers");
  const { handlers, passedOver } = await findHandlers(config.workers);
  for (const module of passedOver) log.warn({ module }, "no handler as default export: passed over");
  const app = await openApp(context);
  const { concurrency, recovery } = config;
  const name = supervised === undefined || config.name === undefined ? config.name : `${config.name}.${supervised.place}`;
  const pool = app.pool(handlers, { recovery, ...(concurrency !== undefined && { concurrency }), ...(name !== undefined && { name }) });
  const asked = Promise.withResolvers<void>();
  let wish: WorkerReport["wish"];
  report = () => ({ ...reportOf(app, pool), ...(wish !== undefined && { wish }) });
  const ask = (said: WorkerReport["wish"]): void => {
    wish = said;
    supervised?.tell();
  };
  pool.hostedBy({
    ...(supervised !== undefined && { place: { supervisor: process.ppid, place: supervised.place }, replace: () => ask("replacement") }),
    stop: () => (ask("end"), asked.resolve()),
    changed: () => supervised?.tell(),
  });
  steered.take(pool);
  queues = [...new Map(handlers.map(({ job }) => [job.queue, app.queue(job)])).values()];
  supervised?.keepTelling(report);
  const facts = { jobs: handlers.map(({ job }) => job.name), queues: [...new Set(handlers.map(({ job }) => job.queue))] };
  log.info(facts, "worker starts");
  void pool.ready.then(() => {
    log.info({ redis: app.address, durability: app.durability }, "worker is ready");
    return output.result(undefined, { event: "ready", pid: process.pid, ...facts });
  });

  let crash: { readonly error: unknown } | undefined;
  const crashed = new Promise<void>((resolve) => {
    process.on("uncaughtException", (error) => {
      crash ??= { error };
      resolve();
    });
  });
  await Promise.race([pool.done, crashed, asked.promise, signal.aborted ? undefined : once(signal, "abort")]);
  pool.quiet();
  if (crash === undefined) await end(context, pool);
  else {
    log.error({ err: crash.error }, "an error that nobody caught: gives back what runs, and ends");
    const { hurry, leaveAfterMs } = stopTimes(config);
    leaveAfter(leaveAfterMs.hurry, context);
    await pool.stop(hurry);
  }
  await app[Symbol.asyncDispose]();
  log.info("worker has ended");
  await output.result(undefined, { event: "ended", pid: process.pid });
  return crash === undefined ? EXIT.done : EXIT.failed;
}

function reportOf({ isConnected }: App, { state, running, ended, stuck }: Pool): WorkerReport {
  return { state, running, ended, stuck: stuck.length, rssBytes: process.memoryUsage.rss(), redis: isConnected };
}

function obey(supervised: Supervised, steered: SteeredPool, { config, interruption, log }: Context): void {
  endWithParent(stopTimes(config).leaveAfterMs.stop);
  const orders = interruption.takeOrders();
  supervised.obey({
    onOrder: ({ order, by }) => orders[order](by),
    onSteer: (steer) => steered.steer(steer, "supervisor"),
    onOrphaned: () => {
      log.warn("the supervisor is gone: this process ends as well");
      orders.stop("SIGTERM");
    },
  });
}

/** Stops the pool in the time that was given, or less. */
async function end(context: Context, pool: Pool): Promise<void> {
  const { config, log, interruption } = context;
  const { stop, hurry, leaveAfterMs } = stopTimes(config);
  const { drainMs, graceMs } = config;
  const by = interruption.cause ?? "operator";
  log.info({ by, running: pool.running, drainMs, graceMs }, pool.running === 0 ? "worker stops" : "worker drains: no new jobs, and what runs may finish");
  interruption.onAgain = (again) => {
    log.warn({ by: again, running: pool.running }, "worker gives back what runs");
    leaveAfter(leaveAfterMs.hurry, context);
    void pool.stop(hurry).catch(() => undefined);
  };
  leaveAfter(leaveAfterMs.stop, context);
  await pool.stop(stop);
}

/** The last resort: what a handler or a dead connection holds open must not hold the process. */
function leaveAfter(ms: number, { log }: Context): void {
  const leave = (): never => {
    log.error("worker did not end in its time: leaves");
    process.exit(EXIT.failed);
  };
  startTimer(ms, leave, { keepsAlive: false });
}
