/** Looks the whole system over: the server, every queue, every running pool; and says what is wrong, how it knows, and what to type. */
import { registeredPools, type RegisteredPool } from "../control/registry.ts";
import { PreflightError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { readHistory } from "../queue/history.ts";
import { asBackendError } from "../redis/errors.ts";
import { readServerFacts } from "../redis/server-facts.ts";
import { connectionNames, waitingConnections } from "../store/consumers.ts";
import { countJobs } from "../store/count.ts";
import type { JobKey } from "../store/job-parts.ts";
import { findOrphans, sampleJobs } from "../store/orphans.ts";
import { lookAtQueue } from "../store/queue-look.ts";
import { parkedJobs, standingMove } from "../store/parked.ts";
import { partitionsOf } from "../store/partitions.ts";
import { queueNames } from "../store/queue-names.ts";
import { isPaused } from "../store/queue-settings.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { readSymptoms } from "../store/symptoms.ts";
import { eachQueue } from "./each-queue.ts";
import type { Finding } from "./finding.ts";
import type { Operator } from "./operator.ts";
import { poolFindings } from "./pool-findings.ts";
import { queueFindings, type Consumers, type QueueLook } from "./queue-findings.ts";
import { fromPreflight, serverFindings } from "./server-findings.ts";

export interface Diagnosis {
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** What was looked at. */
  readonly server: string;
  readonly queues: number;
  readonly workers: number;
}

export interface DoctorOptions {
  /** Looks at every job for orphans, not at up to a thousand of each queue: takes 100 MB of memory for a million jobs that wait. @default false */
  readonly deep?: boolean;
  readonly signal?: AbortSignal;
}

const PINGS = 10;
const HOUR_MS = 3_600_000;
const RATES_MS = 300_000;

/** @throws OptionError before any I/O; BackendError; the signal's reason */
export async function doctor(operator: Operator, options?: DoctorOptions): Promise<Diagnosis> {
  const { deep = false, signal } = checkOptions("doctor", options, { deep: check.boolean(), signal: check.signal() });
  const { connections, prefix } = operator;
  try {
    // What preflight warns of is a finding here, and no line of the log.
    await connections.open();
  } catch (error) {
    if (!(error instanceof PreflightError)) throw error;
    return { findings: error.findings.map((sentence, at) => fromPreflight("unfit", "error", { sentence, evidence: error.evidence[at] ?? {} })), server: connections.address, queues: 0, workers: 0 };
  }
  const client = connections.command;
  const names: string[] = [];
  for await (const name of queueNames(client, prefix)) names.push(name);
  const [server, pools] = await Promise.all([lookAtServer(operator), registeredPools(connections)]);
  const findings = [...server.findings, ...pools.flatMap(poolFindings)];
  const serverOf = onceAPrefix(names, deep, signal);
  const lookAtAll = async (name: string): Promise<Finding[]> => {
    signal?.throwIfAborted();
    const all: Finding[] = [];
    for (const queue of await partitionsOf(operator.queue(name))) {
      const { connected, samples } = await serverOf(queue);
      const found = queueFindings(await lookAt(queue, consumersOf(queue, pools, connected), samples?.get(name) ?? "all", signal));
      all.push(...(queue.prefix === prefix ? found : found.map((finding) => ({ ...finding, subject: `${finding.subject} in ${queue.prefix}` }))));
    }
    return all;
  };
  findings.push(...(await eachQueue(names.toSorted(), lookAtAll)).flat());
  const sorted = findings.toSorted((one, other) => Number(other.severity === "error") - Number(one.severity === "error"));
  return { findings: sorted, server: server.name, queues: names.length, workers: pools.length };
}

async function lookAtServer({ connections }: Operator): Promise<{ readonly name: string; readonly findings: readonly Finding[] }> {
  const pingMs: number[] = [];
  try {
    for (let ping = 0; ping < PINGS; ping += 1) {
      const askedAt = performance.now();
      await connections.command.ping();
      pingMs.push(performance.now() - askedAt);
    }
    const { info } = await readServerFacts(connections.command);
    return { name: `Redis ${info.get("redis_version") ?? ""} at ${connections.address}`, findings: serverFindings({ warnings: connections.warnings, info, pingMs }) };
  } catch (error) {
    throw asBackendError(error);
  }
}

/** What all queues of a prefix are looked at by. */
interface Beside {
  readonly connected: readonly string[] | undefined;
  /** Undefined where all jobs are looked at. */
  readonly samples: ReadonlyMap<string, readonly JobKey[]> | undefined;
}

/** Reads it for the first queue of each prefix: a partition may be on another node. */
function onceAPrefix(names: readonly string[], deep: boolean, signal: AbortSignal | undefined): (queue: StoredQueue) => Promise<Beside> {
  const known = new Map<string, Promise<Beside>>();
  const read = async ({ client, prefix }: StoredQueue): Promise<Beside> => {
    const [connected, samples] = await Promise.all([connectionNames(client), deep ? undefined : sampleJobs(client, prefix, names, signal)]);
    return { connected, samples };
  };
  return (queue) => {
    const found = known.get(queue.prefix) ?? read(queue);
    known.set(queue.prefix, found);
    return found;
  };
}

function consumersOf(queue: StoredQueue, pools: readonly RegisteredPool[], connected: readonly string[] | undefined): Consumers {
  const of = pools.filter(({ queues }) => queues.includes(queue.name));
  const isReady = ({ state }: RegisteredPool): boolean => state === "ready" || state === "starting";
  const connections = connected && waitingConnections(queue, connected);
  // A pool has one of its own, which is no other consumer.
  return { ready: of.filter(isReady), quiet: of.filter((pool) => !isReady(pool)), others: connections && Math.max(0, connections - of.length) };
}

async function lookAt(queue: StoredQueue, consumers: Consumers, among: readonly JobKey[] | "all", signal: AbortSignal | undefined): Promise<QueueLook> {
  const [counts, paused, { oldestPutAt }, symptoms, history, orphans, parked, move] = await Promise.all([
    countJobs(queue),
    isPaused(queue),
    lookAtQueue(queue, HOUR_MS),
    readSymptoms(queue),
    readHistory(queue, RATES_MS),
    findOrphans(queue, among, signal),
    parkedJobs(queue),
    standingMove(queue),
  ]);
  return { queue: queue.name, counts, paused, oldestWaitingMs: oldestPutAt === undefined ? undefined : Math.max(0, symptoms.now - oldestPutAt), symptoms, orphans, parked, movesTo: move?.to, history, consumers };
}
