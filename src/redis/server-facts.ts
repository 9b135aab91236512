/** What a server tells of itself: INFO, a few settings, its clock. Where one of them is forbidden it stays unknown. */
import type { Redis } from "ioredis";

const SETTINGS = ["maxmemory-policy", "save", "appendfsync", "min-replicas-to-write", "min-replicas-max-lag"] as const;

type Setting = (typeof SETTINGS)[number];

export interface ServerFacts {
  /** By field of INFO; empty where it is forbidden. */
  readonly info: ReadonlyMap<string, string>;
  /** Where CONFIG is forbidden (most managed servers) INFO has to do. */
  readonly settings: ReadonlyMap<Setting, string>;
  /** How far the server's clock is ahead of this machine's. */
  readonly clockOffMs: number;
}

/** @throws what the client rejects with, when the server does not answer */
export async function readServerFacts(client: Redis): Promise<ServerFacts> {
  const [info, settings, clockOffMs] = await Promise.all([readInfo(client), readSettings(client), readClock(client)]);
  return { info, settings, clockOffMs };
}

async function readInfo(client: Redis): Promise<ReadonlyMap<string, string>> {
  const text = await client.info().catch(ignoreRefusal);
  const facts = new Map<string, string>();
  for (const line of (text ?? "").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}

/** One call a setting: several in one call need Redis 7. */
async function readSettings(client: Redis): Promise<ReadonlyMap<Setting, string>> {
  const replies = await Promise.all(SETTINGS.map((name) => client.config("GET", name).catch(ignoreRefusal)));
  const settings = new Map<Setting, string>();
  for (const [index, reply] of replies.entries()) {
    const name = SETTINGS[index];
    if (name !== undefined && Array.isArray(reply) && typeof reply[1] === "string") settings.set(name, reply[1]);
  }
  return settings;
}

async function readClock(client: Redis): Promise<number> {
  const askedAt = Date.now();
  const [seconds, microseconds] = await client.time();
  const localMs = (askedAt + Date.now()) / 2;
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - localMs;
}

/** An access rule or a managed server forbids the command: what it would have told stays unknown. */
function ignoreRefusal(error: Error): undefined {
  if (error.name === "ReplyError") return undefined;
  throw error;
}
