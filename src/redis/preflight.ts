/** Looks at a server before any job is trusted to it. */
import type { Redis } from "ioredis";
import { PreflightError } from "../errors.ts";
import { readServerFacts, type ServerFacts } from "./server-facts.ts";

/** The oldest server that has every command we send. */
export const OLDEST_VERSION = "6.2";
const CLOCK_TOLERANCE_MS = 1000;

type Facts = ServerFacts["info"];
type Settings = ServerFacts["settings"];

/** What is wrong with a server, in one sentence with what to do at its end; and by what that is known. */
export interface Warned {
  readonly sentence: string;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** What was found on a server that is fit. */
export interface Preflight {
  /** `"7.0.15"`; Valkey tells the Redis version that it is compatible with. `"unknown"` where INFO is forbidden. */
  readonly version: string;
  /** What a power loss costs, and what a primary that is cut off, in one sentence. */
  readonly durability: string;
  /** What an operator should change. */
  readonly warnings: readonly Warned[];
}

/**
 * Reads INFO, a few settings and the clock. Where CONFIG is forbidden (most managed servers) INFO has to do.
 *
 * @param options.onCluster  whether our keys have a slot in common, as a node of a cluster demands
 * @throws PreflightError when jobs would be lost: keys may be evicted, the version is too old, or it is a replica
 * @throws what the client rejects with, when the server does not answer
 */
export async function preflight(client: Redis, { onCluster = false }: { readonly onCluster?: boolean } = {}): Promise<Preflight> {
  const { info, settings, clockOffMs } = await readServerFacts(client);
  const version = info.get("redis_version") ?? "unknown";

  const unfit: Warned[] = [];
  if (isOlder(version)) unfit.push({ sentence: `expected Redis ${OLDEST_VERSION} or newer (or Valkey), got ${version}`, evidence: { version } });
  const policy = settings.get("maxmemory-policy") ?? info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    unfit.push({ sentence: `expected maxmemory-policy noeviction, got ${policy}, which deletes jobs when memory is short: CONFIG SET maxmemory-policy noeviction`, evidence: { maxmemoryPolicy: policy } });
  }
  if (info.get("role") === "slave") unfit.push({ sentence: "expected a server that takes writes, got a replica: connect to its primary", evidence: { role: "replica" } });
  if (info.get("cluster_enabled") === "1" && !onCluster) unfit.push({ sentence: "expected a server of its own, got a node of a cluster: name it redis+cluster://host:port", evidence: { clusterEnabled: true } });
  if (unfit.length > 0) throw new PreflightError(unfit.map(({ sentence }) => sentence), unfit.map(({ evidence }) => evidence));

  const durability = durabilityOf(info, settings);
  const replicas = replicasOf(info, settings);
  const warnings = [...durability.warnings, ...replicas.warnings];
  if (policy === undefined) warnings.push({ sentence: "may not read maxmemory-policy: make sure that it is noeviction, or jobs can disappear", evidence: { maxmemoryPolicy: UNREAD } });
  if (Math.abs(clockOffMs) > CLOCK_TOLERANCE_MS) {
    const direction = clockOffMs > 0 ? "ahead of" : "behind";
    warnings.push({ sentence: `the server's clock is ${(Math.abs(clockOffMs) / 1000).toFixed(1)} s ${direction} this machine's: delays go by the server's`, evidence: { clockOffMs: Math.round(clockOffMs) } });
  }
  return { version, durability: durability.sentence + replicas.clause, warnings };
}

function isOlder(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_VERSION.split(".").map(Number);
  if (major === undefined || Number.isNaN(major) || oldestMajor === undefined) return false;
  return major < oldestMajor || (major === oldestMajor && (minor ?? 0) < (oldestMinor ?? 0));
}

/** Of what a server does not let us read. */
const UNREAD = "may not be read";

function durabilityOf(info: Facts, settings: Settings): { sentence: string; warnings: Warned[] } {
  if (info.get("aof_enabled") === "1") {
    const fsync = settings.get("appendfsync");
    if (fsync === "always") return { sentence: "append-only file, synced on every write: a power loss loses nothing", warnings: [] };
    if (fsync === "no") {
      const sentence = "append-only file, synced when the system likes: a power loss can lose half a minute";
      return { sentence, warnings: [{ sentence: `${sentence}: CONFIG SET appendfsync everysec, or always`, evidence: { appendonly: "yes", appendfsync: fsync } }] };
    }
    if (fsync === undefined) return { sentence: "append-only file; how often it is synced may not be read", warnings: [] };
    return { sentence: "append-only file, synced every second: a power loss loses up to the last second", warnings: [] };
  }
  const save = settings.get("save");
  if (save === undefined) {
    const sentence = "no append-only file, and whether snapshots are saved may not be read";
    return { sentence, warnings: [{ sentence: `${sentence}: a restart of the server may lose jobs`, evidence: { appendonly: "no", save: UNREAD } }] };
  }
  if (save === "") {
    const sentence = "nothing is persisted: a restart of the server loses every job";
    return { sentence, warnings: [{ sentence: `${sentence}: CONFIG SET appendonly yes`, evidence: { appendonly: "no", save } }] };
  }
  const sentence = "snapshots only: a crash of the server loses every job since the last one";
  return { sentence, warnings: [{ sentence: `${sentence}: CONFIG SET appendonly yes`, evidence: { appendonly: "no", save } }] };
}

function replicasOf(info: Facts, settings: Settings): { clause: string; warnings: Warned[] } {
  const connected = Number(info.get("connected_slaves") ?? 0);
  const lagS = Number(settings.get("min-replicas-max-lag") ?? 10);
  // A lag of 0 switches it off.
  const demanded = lagS === 0 ? 0 : Number(settings.get("min-replicas-to-write") ?? 0);
  // Without it a primary that was cut off goes on taking jobs that nobody will ever see again.
  if (connected > 0 && demanded === 0) {
    const sentence = "has replicas but min-replicas-to-write is 0: a fail-over can lose acknowledged jobs: CONFIG SET min-replicas-to-write 1";
    return { clause: "", warnings: [{ sentence, evidence: { replicas: connected, minReplicasToWrite: demanded, minReplicasMaxLagMs: lagS * 1000 } }] };
  }
  const clause = demanded === 0 ? "" : `; a primary that is cut off from its replicas goes on taking jobs for ${lagS} s, and a fail-over loses them`;
  const inStep = Number(info.get("min_slaves_good_slaves") ?? connected);
  const sentence = `${inStep} of ${demanded} demanded replicas are in step: Redis refuses every write`;
  return { clause, warnings: demanded > inStep ? [{ sentence, evidence: { replicas: connected, replicasInStep: inStep, minReplicasToWrite: demanded } }] : [] };
}
