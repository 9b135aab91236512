/**
 * The embedded server: a Redis of this project's own, shared by its processes, on a socket only its owner can reach.
 *
 * The first user starts it, the last one out stops it; both under one lock file, because `redis-server` unlinks a
 * socket before it binds, and two servers on the same files ruin them. Users are the connections named
 * `millrace-user` in CLIENT LIST, so one that was killed is gone by itself.
 */
import { join, resolve } from "node:path";
import { sleep } from "../concurrency/sleep.ts";
import { RedisServerError } from "../errors.ts";
import type { Client } from "./client.ts";
import { withLock } from "./lock-file.ts";
import { ask, controlClient, readRecord, socketPathOf, startServer, stopServer, writeRecord, type ServerRecord } from "./server-process.ts";

const USER = "millrace-user";
const LOCK_WAIT_MS = 30_000;
/** How long connections that their owners have just closed may still be listed. */
const LINGER_MS = 500;

export interface EmbeddedOptions {
  /** The folder of the data. @default ".millrace" in the current folder */
  readonly dir?: string;
}

/** A place among the users of the embedded server. */
export interface Embedded {
  /** `unix:/…/redis.sock` */
  readonly url: string;
  /** Leaves; the last one out stops the server. Close your own connections before. Idempotent. */
  release(): Promise<void>;
}

/**
 * Joins the project's server; starts it when it does not run.
 *
 * @throws RedisServerError when there is no server program, it does not start, or the socket's path is too long
 */
export async function acquireEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dir = dataFolder(options);
  const { user, socket } = await withLock(lockOf(dir), LOCK_WAIT_MS, async (assertHeld) => {
    const record = await running(dir, assertHeld);
    return { user: await enter(record.socket), socket: record.socket };
  });
  let leaving: Promise<void> | undefined;
  return { url: urlOf(socket), release: () => (leaving ??= leave(dir, user)) };
}

/** Starts the server, if need be, and lets it stay when its last user leaves, until `stopEmbedded`. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedStatus> {
  const dir = dataFolder(options);
  await withLock(lockOf(dir), LOCK_WAIT_MS, async (assertHeld) => writeRecord(dir, { ...(await running(dir, assertHeld)), stays: true }));
  return embeddedStatus(options);
}

/**
 * Stops the server. One that is in use goes on, and stops when its last user leaves, unless `force` is set.
 *
 * @returns the users that still hold it; 0 when it is stopped
 */
export async function stopEmbedded(options: EmbeddedOptions & { readonly force?: boolean }): Promise<{ users: number }> {
  const dir = dataFolder(options);
  return withLock(lockOf(dir), LOCK_WAIT_MS, async () => {
    // Forced, one that does not answer is ended as well.
    const record = (options.force === true ? readRecord(dir) : undefined) ?? (await found(dir));
    if (record === undefined) return { users: 0 };
    const users = options.force === true ? 0 : await countUsers(record.socket);
    if (users > 0) {
      writeRecord(dir, { ...record, stays: false });
      return { users };
    }
    await stopServer(dir, record);
    return { users: 0 };
  });
}

/** What is known of the project's server, without starting it. */
export interface EmbeddedStatus {
  readonly state: "running" | "stopped" | "silent";
  readonly url: string;
  readonly dir: string;
  readonly pid: number | undefined;
  /** Connected users of ours; other clients do not count. */
  readonly users: number;
  /** It was started by hand, and stays when its last user leaves. */
  readonly stays: boolean;
}

export async function embeddedStatus(options: EmbeddedOptions): Promise<EmbeddedStatus> {
  const dir = dataFolder(options);
  const record = readRecord(dir);
  const socket = record?.socket ?? socketPathOf(dir);
  const answer = await ask(socket);
  const alive = answer.state === "ready" || answer.state === "loading";
  return {
    state: answer.state === "absent" ? "stopped" : alive ? "running" : "silent",
    url: urlOf(socket),
    dir,
    pid: answer.state === "absent" ? undefined : (answer.pid ?? record?.pid),
    users: answer.state === "ready" ? await countUsers(socket) : 0,
    stays: answer.state !== "absent" && record?.stays === true,
  };
}

function dataFolder(options: EmbeddedOptions): string {
  return resolve(options.dir ?? ".millrace");
}

function lockOf(dir: string): string {
  return join(dir, "redis.lock");
}

function urlOf(socket: string): string {
  return `unix:${encodeURI(socket).replace(/[?#]/g, encodeURIComponent)}`;
}

/** Under the lock: the server that runs, started if none does. */
async function running(dir: string, assertHeld: () => void): Promise<ServerRecord> {
  return (await found(dir)) ?? startServer(dir, assertHeld);
}

/** Under the lock: the server that runs, waiting while it loads its data; `undefined` when none does. */
async function found(dir: string): Promise<ServerRecord | undefined> {
  const record = readRecord(dir);
  const socket = record?.socket ?? socketPathOf(dir);
  for (;;) {
    const answer = await ask(socket);
    if (answer.state === "loading") {
      await sleep(50);
      continue;
    }
    if (answer.state === "silent") {
      throw new RedisServerError(`the embedded server${record === undefined ? "" : ` (pid ${record.pid})`} accepts connections at ${socket} but does not answer: stop it, then try again`);
    }
    if (answer.state === "absent") {
      // It may live on without its socket: just starting when its starter was killed, or the socket was cleaned away.
      if (record !== undefined) await stopServer(dir, record);
      return undefined;
    }
    return record ?? { pid: answer.pid ?? 0, socket, stays: false };
  }
}

async function enter(socket: string): Promise<Client> {
  const user = controlClient(socket, { connectionName: USER, retryStrategy: () => 250 });
  await user.connect();
  return user;
}

async function leave(dir: string, user: Client): Promise<void> {
  try {
    await withLock(lockOf(dir), LOCK_WAIT_MS, async () => {
      const record = readRecord(dir);
      if (record !== undefined && !record.stays && (await isLast(record.socket, user))) await stopServer(dir, record);
    });
  } finally {
    user.abandon();
  }
}

/** Nobody else is connected. A client that is no user of ours keeps the server too, if it stays for a moment. */
async function isLast(socket: string, user: Client): Promise<boolean> {
  // One whose connection was lost is no user any more, and asks as anybody.
  const client = user.status === "ready" ? user : controlClient(socket);
  try {
    if (client !== user) await client.connect();
    const id = String(await client.client("ID"));
    const giveUpAt = performance.now() + LINGER_MS;
    for (;;) {
      const others = (await clientsOf(client)).filter((other) => other.id !== id);
      if (others.length === 0) return true;
      if (others.some((other) => other.name === USER) || performance.now() > giveUpAt) return false;
      await sleep(20);
    }
  } catch {
    // It does not answer: gone, or frozen, and nothing of ours to stop.
    return false;
  } finally {
    client.abandon();
  }
}

async function countUsers(socket: string): Promise<number> {
  const client = controlClient(socket);
  try {
    await client.connect();
    return (await clientsOf(client)).filter(({ name }) => name === USER).length;
  } finally {
    client.abandon();
  }
}

async function clientsOf(client: Client): Promise<{ id: string | undefined; name: string | undefined }[]> {
  const list = String(await client.client("LIST"));
  return list
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ id: /\bid=(\d+)/.exec(line)?.[1], name: /\bname=(\S*)/.exec(line)?.[1] }));
}
