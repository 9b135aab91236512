/** What may be wrong with the Redis server. */
import type { Warned } from "../redis/preflight.ts";
import type { Finding, Look } from "./finding.ts";

export interface ServerLook {
  /** What should be changed about it: how it persists, its replicas, its clock. */
  readonly warnings: readonly Warned[];
  /** By field of INFO. */
  readonly info: ReadonlyMap<string, string>;
  /** Round trips of a `PING`, in milliseconds. */
  readonly pingMs: readonly number[];
}

const SLOW_MS = 10;
/** Shares of what there is. */
const MEMORY = { warning: 0.8, error: 0.95 };
const CONNECTIONS = 0.9;

export function serverFindings(look: ServerLook): Finding[] {
  const told = look.warnings.map((warned) => fromPreflight("server", "warning", warned));
  return [...told, ...[memory, saving, latency, connections].flatMap((find) => find(look) ?? [])];
}

/** What preflight says ends with what to do about it. */
export function fromPreflight(finding: string, severity: Finding["severity"], { sentence, evidence }: Warned): Finding {
  const colon = sentence.lastIndexOf(": ");
  const remedy = colon < 0 ? "" : sentence.slice(colon + 2);
  const isCommand = remedy.startsWith("CONFIG ");
  return { finding, severity, subject: "redis", message: isCommand ? sentence.slice(0, colon) : sentence, evidence, remedy: isCommand ? `redis-cli ${remedy}` : remedy || "see the README, Redis" };
}

export const memory: Look<ServerLook> = ({ info }) => {
  const used = Number(info.get("used_memory"));
  const limit = Number(info.get("maxmemory")) || Number(info.get("total_system_memory"));
  if (!(used / limit >= MEMORY.warning)) return undefined;
  const isLimited = Number(info.get("maxmemory")) > 0;
  return {
    finding: "memory",
    severity: used / limit >= MEMORY.error ? "error" : "warning",
    subject: "redis",
    message: `${Math.round((100 * used) / limit)} % of its memory is used: when it is full, every put is refused`,
    evidence: { usedBytes: used, limitBytes: limit, limit: isLimited ? "maxmemory" : "memory of the machine" },
    remedy: isLimited ? "millrace queue list  (what holds it), then redis-cli CONFIG SET maxmemory with more" : "millrace queue list  (what holds it)",
  };
};

export const saving: Look<ServerLook> = ({ info }) => {
  const failing = (["rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status"] as const).filter((field) => info.get(field) === "err");
  if (failing.length === 0) return undefined;
  return {
    finding: "saving",
    severity: "error",
    subject: "redis",
    message: "it cannot write its data to disk: a restart loses jobs, and by default it refuses writes",
    evidence: Object.fromEntries(failing.map((field) => [field, "err"])),
    remedy: "look into its log and at its disk (df -h), then redis-cli BGSAVE",
  };
};

export const latency: Look<ServerLook> = ({ pingMs }) => {
  const sorted = pingMs.toSorted((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (median === undefined || median < SLOW_MS) return undefined;
  return {
    finding: "latency",
    severity: "warning",
    subject: "redis",
    message: `it takes ${Math.round(median)} ms to answer: every put and every job waits for it`,
    evidence: { medianMs: median, mostMs: sorted.at(-1), samples: sorted.length },
    remedy: "redis-cli SLOWLOG GET 10, and redis-cli --intrinsic-latency 10 on its machine",
  };
};

export const connections: Look<ServerLook> = ({ info }) => {
  const [connected, most] = [Number(info.get("connected_clients")), Number(info.get("maxclients"))];
  if (!(connected / most >= CONNECTIONS)) return undefined;
  return {
    finding: "connections",
    severity: "warning",
    subject: "redis",
    message: `${connected} of ${most} connections are taken: beyond them nobody can connect`,
    evidence: { connected, most },
    remedy: `redis-cli CONFIG SET maxclients ${most * 2}`,
  };
};
