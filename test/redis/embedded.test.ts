import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, stat, symlink, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { RedisServerError } from "../../src/errors.ts";
import { Connections } from "../../src/redis/connection.ts";
import { acquireEmbedded, embeddedStatus, startEmbedded, stopEmbedded, type Embedded } from "../../src/redis/embedded.ts";
import { event, takes } from "../support/outcome.ts";
import { findServer } from "../../src/redis/server.ts";

const hasServer = (await findServer()) !== undefined;
const MODULE = JSON.stringify(new URL("../../src/redis/embedded.ts", import.meta.url).href);

/** A folder for the data; whatever runs there ends with the test. */
async function dataFolder(): Promise<string> {
  const parent = await realpath(await mkdtemp(join(tmpdir(), "millrace-test-")));
  const dir = join(parent, ".millrace");
  onTestFinished(async () => {
    await stopEmbedded({ dir, force: true });
    await rm(parent, { recursive: true, force: true });
  });
  return dir;
}

/** A process that joins, says so, and leaves when its standard input ends. */
async function user(dir: string, env: NodeJS.ProcessEnv = {}): Promise<{ process: ChildProcess; url: string; leave(): Promise<void> }> {
  const program = `
    import { acquireEmbedded } from ${MODULE};
    const server = await acquireEmbedded({ dir: ${JSON.stringify(dir)} });
    console.log(server.url);
    process.stdin.on("data", () => undefined).on("end", () => server.release());
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const exited = event(child, "exit");
  const said = (await Promise.race([event(child.stdout as Readable, "data"), exited.then(() => Promise.reject(new Error("the user did not get in")))])) as Buffer;
  const leave = async (): Promise<void> => {
    child.stdin?.end();
    await exited;
  };
  return { process: child, url: said.toString().trim(), leave };
}

function clientOf({ url }: Pick<Embedded, "url">): Redis {
  const client = new Redis(url.replace("unix:", ""), { retryStrategy: () => null });
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

test.skipIf(!hasServer)("the first one in starts it, the last one out stops it, and the data stays", async () => {
  const dir = await dataFolder();
  const first = await acquireEmbedded({ dir });
  const second = await acquireEmbedded({ dir });
  expect(second.url).toBe(first.url);
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "running", url: first.url, users: 2, stays: false });
  const client = clientOf(first);
  await client.set("kept", "yes");
  expect(await client.config("GET", "port")).toEqual(["port", "0"]);
  expect(await client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  client.disconnect();

  await first.release();
  await first.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "running", users: 1 });
  await second.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped", pid: undefined, users: 0 });

  const third = await acquireEmbedded({ dir });
  expect(await clientOf(third).get("kept")).toBe("yes");
  await third.release();
});

test.skipIf(!hasServer)("only its owner can reach it", async () => {
  const dir = await dataFolder();
  const server = await acquireEmbedded({ dir });
  const socket = server.url.replace("unix:", "");
  expect((await stat(dirname(socket))).mode & 0o777).toBe(0o700);
  expect((await stat(socket)).mode & 0o077).toBe(0);
  expect((await stat(join(dir, "redis"))).mode & 0o077).toBe(0);
  await server.release();
});

test.skipIf(!hasServer)("ten processes that start at once share one server, and the last stops it", async () => {
  const dir = await dataFolder();
  const users = await Promise.all(Array.from({ length: 10 }, () => user(dir)));
  expect(new Set(users.map(({ url }) => url)).size).toBe(1);
  const status = await embeddedStatus({ dir });
  expect(status).toMatchObject({ state: "running", users: 10 });
  await Promise.all(users.map(({ leave }) => leave()));
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
}, 60_000);

test.skipIf(!hasServer)("processes that come and go at once never lose what another one wrote", async () => {
  const dir = await dataFolder();
  const rounds = 8;
  const visit = async (visitor: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      const server = await acquireEmbedded({ dir });
      const client = clientOf(server);
      await client.rpush("visits", `${visitor}-${round}`);
      client.disconnect();
      await server.release();
    }
  };
  await Promise.all([0, 1, 2, 3].map(visit));
  const server = await acquireEmbedded({ dir });
  expect(await clientOf(server).llen("visits")).toBe(4 * rounds);
}, 60_000);

test.skipIf(!hasServer)("a user that was killed leaves a server that the next one joins, and stops on leaving", async () => {
  const dir = await dataFolder();
  const killed = await user(dir);
  killed.process.kill("SIGKILL");
  await event(killed.process, "exit");
  const { pid } = await embeddedStatus({ dir });
  const next = await acquireEmbedded({ dir });
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "running", pid, users: 1 });
  await next.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
});

test.skipIf(!hasServer)("comes back after the server itself was killed, socket and record left behind", async () => {
  const dir = await dataFolder();
  const first = await acquireEmbedded({ dir });
  const client = clientOf(first);
  await client.set("kept", "yes");
  const { pid } = await embeddedStatus({ dir });
  // The file is written before the answer; syncing it is for power losses.
  process.kill(pid ?? 0, "SIGKILL");
  await event(client, "end");
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
  const second = await acquireEmbedded({ dir });
  expect(await clientOf(second).get("kept")).toBe("yes");
  await first.release();
  await second.release();
});

test.skipIf(!hasServer)("a server whose socket was cleaned away is replaced, not doubled", async () => {
  const dir = await dataFolder();
  const first = await acquireEmbedded({ dir });
  const before = await embeddedStatus({ dir });
  await clientOf(first).set("kept", "yes");
  await unlink(first.url.replace("unix:", ""));
  const second = await acquireEmbedded({ dir });
  expect(before.pid).toBeGreaterThan(0);
  // It was our child: its id goes when the loop has heard of its end.
  await vi.waitFor(() => expect(() => process.kill(before.pid!, 0)).toThrow("ESRCH"));
  expect(await clientOf(second).get("kept")).toBe("yes");
  await second.release();
}, 30_000);

test.skipIf(!hasServer)("processes with another temporary folder find the same server", async () => {
  const dir = await dataFolder();
  const first = await acquireEmbedded({ dir });
  const other = await mkdtemp(join(tmpdir(), "mr-"));
  onTestFinished(() => rm(other, { recursive: true }));
  const second = await user(dir, { TMPDIR: other });
  expect(second.url).toBe(first.url);
  await second.leave();
  await first.release();
});

test.skipIf(!hasServer)("outlives Ctrl-C on the terminal of its first user while another one uses it", async () => {
  const dir = await dataFolder();
  const program = `
    import { acquireEmbedded } from ${MODULE};
    await acquireEmbedded({ dir: ${JSON.stringify(dir)} });
    console.log("in");
  `;
  // Leads a process group, as a command on a terminal does.
  const first = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  await event(first.stdout, "data");
  const second = await acquireEmbedded({ dir });
  const { pid } = await embeddedStatus({ dir });
  const { stdout: group } = await promisify(execFile)("ps", ["-o", "pgid=", "-p", String(pid)]);
  expect(Number(group)).toBe(pid);
  process.kill(-(first.pid ?? 0), "SIGINT");
  await event(first, "exit");
  expect(await clientOf(second).ping()).toBe("PONG");
  await expect.poll(() => embeddedStatus({ dir })).toMatchObject({ state: "running", users: 1 });
  await second.release();
});

test.skipIf(!hasServer)("one that was started by hand stays until it is stopped by hand, after its last user", async () => {
  const dir = await dataFolder();
  expect(await startEmbedded({ dir })).toMatchObject({ state: "running", users: 0, stays: true });
  expect(await startEmbedded({ dir })).toMatchObject({ state: "running", users: 0, stays: true });
  const server = await acquireEmbedded({ dir });
  await server.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "running" });

  const again = await acquireEmbedded({ dir });
  expect(await stopEmbedded({ dir })).toEqual({ users: 1 });
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "running", stays: false });
  await again.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
  expect(await stopEmbedded({ dir })).toEqual({ users: 0 });

  const held = await acquireEmbedded({ dir });
  expect(await stopEmbedded({ dir, force: true })).toEqual({ users: 0 });
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
  await held.release();
});

test.skipIf(!hasServer)("stays while a client of somebody else's is connected", async () => {
  const dir = await dataFolder();
  const server = await acquireEmbedded({ dir });
  const stranger = clientOf(server);
  await stranger.ping();
  await server.release();
  expect(await stranger.ping()).toBe("PONG");
  stranger.disconnect();
  await (await acquireEmbedded({ dir })).release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
});

test.skipIf(!hasServer)("a frozen server is named, not doubled", async () => {
  const dir = await dataFolder();
  const server = await acquireEmbedded({ dir });
  const { pid = 0 } = await embeddedStatus({ dir });
  process.kill(pid, "SIGSTOP");
  const joining = acquireEmbedded({ dir });
  await expect(joining).rejects.toThrow(RedisServerError);
  await expect(joining).rejects.toThrow(`pid ${pid}`);
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "silent" });
  expect(await stopEmbedded({ dir, force: true })).toEqual({ users: 0 });
  // Ended is not yet reaped by whoever started it.
  await expect.poll(() => isAlive(pid)).toBe(false);
  await server.release();
}, 40_000);

test.skipIf(!hasServer)("works in a folder whose name has spaces, quotes and letters of other alphabets", async () => {
  const parent = await realpath(await mkdtemp(join(tmpdir(), "mr-")));
  const dir = join(parent, `a "quoted" näme%20 #1?`, ".millrace");
  const server = await acquireEmbedded({ dir });
  await using redis = new Connections(server.url, {});
  await redis.open();
  expect(await redis.command.ping()).toBe("PONG");
  await redis.close();
  await server.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
  await rm(parent, { recursive: true });
});

test.skipIf(!hasServer)("two names of one folder are one server", async () => {
  const dir = await dataFolder();
  await mkdir(dir);
  const alias = `${dir}-alias`;
  await symlink(dir, alias);
  const [one, other] = [await acquireEmbedded({ dir }), await acquireEmbedded({ dir: alias })];
  expect(other.url).toBe(one.url);
  await one.release();
  await other.release();
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
});

test.skipIf(!hasServer)("refuses a socket path that the system would cut off", async () => {
  const dir = await dataFolder();
  const deep = join(await mkdtemp(join(tmpdir(), "mr-")), "x".repeat(90));
  await mkdir(deep);
  onTestFinished(() => rm(dirname(deep), { recursive: true }));
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = deep;
  try {
    await expect(acquireEmbedded({ dir })).rejects.toThrow(/at most 10[37] bytes.*TMPDIR/);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});

test.skipIf(!hasServer)("refuses a folder for the socket that others can enter", async () => {
  const dir = await dataFolder();
  const server = await acquireEmbedded({ dir });
  const folder = dirname(server.url.replace("unix:", ""));
  await server.release();
  await mkdir(folder, { mode: 0o755 });
  await expect(acquireEmbedded({ dir })).rejects.toThrow(/mode 0700/);
  await rm(folder, { recursive: true });
});

test("says how to get a server program where there is none", async () => {
  const dir = await dataFolder();
  const path = process.env["PATH"];
  process.env["PATH"] = "/no/such/folder";
  try {
    await expect(acquireEmbedded({ dir })).rejects.toThrow(/redis-server or valkey-server/);
  } finally {
    process.env["PATH"] = path;
  }
});

test.skipIf(!hasServer)("says why the server did not start", async () => {
  const dir = await dataFolder();
  const first = await acquireEmbedded({ dir });
  await first.release();
  // No file that it can read. Redis 6 has one, later ones a folder of several, and a manifest.
  const manifest = join(dir, "redis", "appendonlydir", "appendonly.aof.manifest");
  const file = existsSync(manifest) ? manifest : join(dir, "redis", "appendonly.aof");
  await rm(file);
  await mkdir(file);
  const starting = acquireEmbedded({ dir });
  await expect(starting).rejects.toThrow(RedisServerError);
  await expect(starting).rejects.toThrow(/did not start: it ended with code 1; .*(manifest|append)/);
});

test.skipIf(!hasServer)("connections open it, share it and leave it", async () => {
  const dir = await dataFolder();
  const folder = process.cwd();
  await mkdir(dir, { recursive: true });
  const program = `
    import { Connections } from ${JSON.stringify(new URL("../../src/redis/connection.ts", import.meta.url).href)};
    const redis = new Connections("embedded", {});
    await redis.open();
    console.log(await redis.command.ping());
    redis.dedicated("blocking", { blockMs: 60_000 }).blpop("nothing", 60).catch(() => undefined);
    const startedAt = performance.now();
    await redis.close();
    console.log(performance.now() - startedAt);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"], cwd: dirname(dir) });
  let said = "";
  child.stdout.on("data", (text: Buffer) => (said += text.toString()));
  expect(await takes(event(child, "exit"))).toBeLessThan(10_000);
  const [pong, closeMs] = said.trim().split("\n");
  expect(pong).toBe("PONG");
  expect(Number(closeMs)).toBeLessThan(2000);
  expect(await embeddedStatus({ dir })).toMatchObject({ state: "stopped" });
  expect(process.cwd()).toBe(folder);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
