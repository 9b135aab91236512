/** Stands for a process of its own: with its own connections, and its own id among those who wait. */
import { onTestFinished } from "vitest";
import type { LogMethod, Logger } from "../../src/log.ts";
import { Connections } from "../../src/redis/connection.ts";
import type { Hold } from "../../src/sync/hold.ts";
import { Hub } from "../../src/sync/hub.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

export interface Peer {
  readonly hub: Hub;
  readonly connections: Connections;
  /** What it logged as a warning or an error. */
  readonly lines: readonly string[];
  /** Ends its connections without a word, as the end of a process does. */
  die(): Promise<void>;
  /** Until Redis has run what was sent from here before. */
  sent(): Promise<void>;
}

export function startPeer(prefix: string, url = redisUrl()): Peer {
  const connections = new Connections(url, {});
  const lines: string[] = [];
  const hub = new Hub(connections, prefix, collect(lines));
  onTestFinished(async () => {
    await hub.close();
    await connections.close();
  });
  return {
    hub,
    connections,
    lines,
    die: () => connections.close(),
    async sent() {
      await connections.open();
      await new Promise(setImmediate);
      await connections.command.ping();
    },
  };
}

/** Until the condition holds; a test that waits in vain ends by its own timeout. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

export function startPeers(count: number, prefix = freshPrefix(), url?: string): Peer[] {
  return Array.from({ length: count }, () => startPeer(prefix, url));
}

/** Until so many stand in line for the lock. */
export async function inLine(peer: Peer, key: string, count: number): Promise<void> {
  await peer.connections.open();
  await until(async () => (await peer.connections.command.zcard(primitiveKey(peer.hub.prefix, "lock", key, "line"))) === count);
}

/** Whether the other listens for wake-ups. */
export async function listens(peer: Peer, other: Peer): Promise<boolean> {
  const [, count] = (await peer.connections.command.call("PUBSUB", "NUMSUB", other.hub.channel + other.hub.processId)) as [string, number];
  return count === 1;
}

export async function giveBack(hold: Hold): Promise<void> {
  await hold[Symbol.asyncDispose]();
}

function collect(lines: string[]): Logger {
  const say: LogMethod = (...args: [string] | [object, string]) => void lines.push(args.at(-1) as string);
  const log: Logger = { debug: () => {}, info: () => {}, warn: say, error: say, child: () => log };
  return log;
}
