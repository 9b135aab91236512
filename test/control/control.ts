/** What the tests of this folder share: connections, and pools that are no more than what they tell. */
import { onTestFinished } from "vitest";
import { hearMessages, type Deeds, type Hearer } from "../../src/control/hearing.ts";
import type { PoolEntry, RunningTask } from "../../src/control/pool-entry.ts";
import { messageChannel } from "../../src/control/keys.ts";
import type { Logger } from "../../src/log.ts";
import { Connections } from "../../src/redis/connection.ts";
import { recordedLog, until } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

export async function connected(url = redisUrl(), prefix = freshPrefix()): Promise<Connections> {
  const connections = new Connections(url, {}, prefix);
  onTestFinished(() => connections.close());
  await connections.open();
  return connections;
}

export function entryOf(id: string, facts: Partial<PoolEntry> = {}): PoolEntry {
  return {
    id,
    name: `name-${id}`,
    host: "mill",
    pid: 1,
    version: "1.2.3",
    supervisor: null,
    place: null,
    state: "ready",
    queues: ["work"],
    slots: 10,
    running: 0,
    stuck: 0,
    ended: 0,
    rssBytes: 1,
    loopDelayMs: { p99: 0, max: 0 },
    lastError: null,
    startedAt: 1000,
    ...facts,
  };
}

export function taskOf(id: string, facts: Partial<RunningTask> = {}): RunningTask {
  return { id, name: "job", queue: "work", attempt: 1, startedAt: 1000, progress: null, interruption: null, stuck: false, ...facts };
}

const unexpected = (): never => {
  throw new Error("not expected here");
};

/** One that listens; its deeds are these, and all others fail. */
export async function hearing(connections: Connections, id: string, deeds: Partial<Deeds>, log: Logger = recordedLog()): Promise<AbortController> {
  const rest: Deeds = { ping: unexpected, quiet: unexpected, resume: unexpected, stop: unexpected, restart: unexpected, scale: unexpected, dump: unexpected, profile: unexpected, "log-level": unexpected, debug: unexpected };
  const hearer: Hearer = { id, name: `name-${id}`, version: "1.2.3", deeds: { ...rest, ...deeds } };
  const ended = new AbortController();
  onTestFinished(() => ended.abort());
  hearMessages(connections, hearer, log, ended.signal);
  await until(() => connections.subscriber.hears(messageChannel(connections.prefix)));
  return ended;
}
