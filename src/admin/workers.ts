/** What pools run, and which of them an operator means. */
import { registeredPools, type RegisteredPool } from "../control/registry.ts";
import { NotFoundError, OptionError } from "../errors.ts";
import { shown, suggest } from "../options.ts";
import { connectionNames, stockWorkers } from "../store/consumers.ts";
import type { Operator } from "./operator.ts";

/** A pool that runs, in a process of `worker start` or of a program's own. */
export interface WorkerRow extends RegisteredPool {
  /** How long it has run. */
  readonly upMs: number;
  /** How long it has told nothing new; beyond some 5 s its event loop is blocked. */
  readonly silentMs: number;
}

/**
 * Workers as an operator names them: each by its id or the unique beginning of one, by its name (which the processes of one
 * supervisor share but for `.1`, `.2`…), or by `host:pid`; or all that run.
 */
export type Workers = readonly string[] | "all";

/** All pools that run, in the order of their start; one that died is gone within 10 s. @throws BackendError */
export async function listWorkers(operator: Operator): Promise<WorkerRow[]> {
  await operator.ready();
  const pools = await registeredPools(operator.connections);
  const now = operator.connections.clock.now();
  return pools.map((pool) => ({ ...pool, upMs: Math.max(0, now - pool.startedAt), silentMs: Math.max(0, now - pool.seenAt) }));
}

/** Stock BullMQ workers of a queue: only their connections are seen. What they run `listTasks` has, and no message reaches them. */
export interface StockWorkers {
  readonly queue: string;
  readonly workers: number;
}

/** By queue; none where Redis does not tell who is connected, which some servers forbid. @throws BackendError */
export async function listStockWorkers(operator: Operator): Promise<StockWorkers[]> {
  await operator.ready();
  const { connections, prefix } = operator;
  const found = stockWorkers(prefix, (await connectionNames(connections.command)) ?? []);
  return Array.from(found, ([queue, { length }]) => ({ queue, workers: length })).toSorted((one, other) => (one.queue < other.queue ? -1 : 1));
}

/** @throws OptionError where no worker is named, or a beginning has several; NotFoundError where one does not run; BackendError */
export async function findWorkers(operator: Operator, workers: Workers): Promise<readonly RegisteredPool[]> {
  checkWorkers(workers);
  await operator.ready();
  const pools = await registeredPools(operator.connections);
  if (workers === "all") return pools;
  return [...new Set(workers.flatMap((word) => named(pools, word)))];
}

/** Refuses what names no worker, before any I/O. @throws OptionError */
export function checkWorkers(workers: Workers): void {
  if (workers === "all" || (Array.isArray(workers) && workers.length > 0 && workers.every((word) => typeof word === "string" && word !== ""))) return;
  throw new OptionError(`expected ids or names of workers, or "all" (--all), got ${shown(workers)}`);
}

function named(pools: readonly RegisteredPool[], word: string): readonly RegisteredPool[] {
  const exact = pools.filter(({ id, name, host, pid, place }) => [id, name, `${host}:${pid}`].includes(word) || (place !== null && name === `${word}.${place}`));
  if (exact.length > 0) return exact;
  const begun = pools.filter(({ id }) => id.startsWith(word));
  if (begun.length === 1) return begun;
  if (begun.length > 1) throw new OptionError(`expected one worker whose id begins with ${shown(word)}, got ${begun.map(({ id, name }) => `${id} (${name})`).join(", ")}`);
  const near = suggest(word, pools.flatMap(({ id, name }) => [id, name]));
  const others = pools.length === 0 ? "none runs" : "worker list shows those that run";
  throw new NotFoundError(`no worker is called ${shown(word)}: ${near === undefined ? others : `did you mean ${near}?`}`);
}
