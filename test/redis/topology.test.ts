import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { Connections } from "../../src/redis/connection.ts";
import { runScript, type Script } from "../../src/redis/script.ts";
import { findServer } from "../../src/redis/server.ts";
import { Topology } from "../../src/redis/topology.ts";
import { event, failure, takes } from "../support/outcome.ts";
import { freeNodePort, freePort, runServer } from "../support/redis-process.ts";
import { redisClient, startCluster, startRedis, startSentinels } from "../support/redis.ts";

const INCREMENT: Script = { name: "increment", lua: 'return redis.call("INCR", KEYS[1])' };

function connections(url: string): Connections {
  const made = new Connections(url, {});
  onTestFinished(() => made.close());
  return made;
}

test.each(["sentinel", "cluster"])("a primary that nobody tells is a connection that failed: %s", async (kind) => {
  const redis = connections(`redis+${kind}://:secret@127.0.0.1:${await freePort()}${kind === "sentinel" ? "/primary" : ""}`);
  const { error, tookMs } = await failure(redis.open());
  expect(error).toBeInstanceOf(BackendError);
  expect(String(error)).toContain("ECONNREFUSED");
  expect(String(error)).not.toContain("secret");
  expect((error as BackendError).mayHaveRun).toBe(false);
  expect(tookMs).toBeLessThan(5000);
  expect(await takes(redis.close())).toBeLessThan(2000);
});

test("a client that is ended while it looks for its primary ends, and says so to every caller", async () => {
  const topology = new Topology({ options: {}, guides: { kind: "cluster", servers: [{ host: "127.0.0.1", port: await freePort() }], name: "a", options: {}, natMap: {} }, shown: "" });
  const client = topology.client({});
  client.on("error", () => undefined);
  const waiting = failure(client.ping());
  const ended = event(client, "end");
  client.abandon();
  expect((await waiting).error).toMatchObject({ message: "Connection is closed." });
  await ended;
});

test("through Sentinels: every connection leaves a primary that hangs, and none writes to it when it comes back", async () => {
  const sentinels = await startSentinels({ replicas: 1 });
  const [first, second] = sentinels.servers;
  const redis = connections(sentinels.url);
  await redis.open();
  const blocking = redis.dedicated("blocking", { blockMs: 60_000 });
  const listening = redis.dedicated("listening", { blockMs: 0 });
  await Promise.all([runScript(redis.command, INCREMENT, ["n"], []), blocking.ping(), listening.subscribe("channel")]);
  const popped = failure(blocking.blpop("list", 60));
  const moved = [redis.command, blocking, listening].map((client) => event(client, "ready"));
  first!.pause();
  // Told by the Sentinels: by itself the blocking one would have waited for a minute.
  await Promise.all(moved);
  expect((await popped).error).toBeDefined();
  expect(redis.command.stream.remotePort).toBe(second!.port);
  // The scripts are not known there, and what is pushed and published is heard.
  expect(await runScript(redis.command, INCREMENT, ["m"], [])).toBe(1);
  const item = blocking.blpop("list", 60);
  await redis.command.rpush("list", "item");
  expect(await item).toEqual(["list", "item"]);
  const heard = event(listening, "message");
  await redis.command.publish("channel", "text");
  await heard;
  first!.resume();
  await redis.command.set("late", "1");
  expect(await redisClient(second!.url).get("late")).toBe("1");
}, 60_000);

test("on a cluster: the prefix is a hash tag by itself, and what it names is plain data", async () => {
  const { url, primaryOf } = await startCluster({ primaries: 2, replicas: 0 });
  const [plain, own] = [new Connections(url, {}, "shop"), new Connections(url, {}, "{mine}")];
  onTestFinished(() => Promise.all([plain.close(), own.close()]).then(() => undefined));
  expect([plain.prefix, own.prefix]).toEqual(["{shop}", "{mine}"]);
  await Promise.all([plain.open(), own.open()]);
  expect(plain.command.stream.remotePort).toBe((await primaryOf("{shop}:mail:wait")).port);
  expect(own.command.stream.remotePort).toBe((await primaryOf("{mine}:mail:wait")).port);
  const elsewhere = new Topology(structuredClone(plain.location)).client({});
  onTestFinished(() => elsewhere.abandon());
  await plain.command.set("{shop}:a", "1");
  expect(await elsewhere.get("{shop}:a")).toBe("1");
});

test("speaks TLS to Sentinels and through them, and to a cluster", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-tls-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  await promisify(execFile)("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
  const tls = { ca: await readFile(cert) };
  const files = { "tls-cert-file": cert, "tls-key-file": key, "tls-ca-cert-file": cert, "tls-auth-clients": "no" };
  const [port, nodePort, sentinelPort] = await Promise.all([freePort(), freeNodePort(), freePort()]);
  await startRedis({ "tls-port": String(port), ...files });
  await startCluster({ primaries: 1, replicas: 0, settings: { "tls-port": String(nodePort), "tls-cluster": "yes", ...files } });

  const config = [...Object.entries(files).map((each) => each.join(" ")), `tls-port ${sentinelPort}`, "port 0", "tls-replication yes", "bind 127.0.0.1", `dir ${dir}`, `logfile ${dir}/log`, `sentinel monitor primary 127.0.0.1 ${port} 1`, ""];
  await writeFile(join(dir, "sentinel.conf"), config.join("\n"));
  const sentinel = runServer((await findServer())!.path, [join(dir, "sentinel.conf"), "--sentinel"], { port: sentinelPort, dir }, { tls });
  onTestFinished(async () => (await sentinel).end("SIGKILL"));
  await sentinel;

  for (const option of [
    { sentinels: [{ host: "127.0.0.1", port: sentinelPort }], name: "primary", tls, sentinelTLS: tls, enableTLSForSentinelMode: true },
    { cluster: [{ host: "127.0.0.1", port: nodePort }], tls },
  ]) {
    const redis = new Connections(option, {});
    onTestFinished(() => redis.close());
    await redis.open();
    expect(redis.address).toMatch(/^rediss\+/);
    expect(redis.command.stream).toHaveProperty("encrypted", true);
    expect([port, nodePort]).toContain(redis.command.stream.remotePort);
  }
  // Who trusts nobody is refused at once.
  const { error, tookMs } = await failure(connections(`rediss+cluster://127.0.0.1:${nodePort}`).open());
  expect(String(error)).toContain("self-signed certificate");
  expect(tookMs).toBeLessThan(3000);
});
