import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { openRedis } from "./own-redis.ts";
import { containerCommand, serverImage } from "./server-image.ts";

test("runs a server with this machine's ports, its folder and its user", () => {
  const user = `${process.getuid!()}:${process.getgid!()}`;
  expect(containerCommand({ image: "redis:7" }, "one", "/tmp/data", ["--port", "7000", "--dir", "/tmp/data"]).join(" ")).toBe(
    `docker run --rm --name one --network host --user ${user} --volume /tmp/data:/tmp/data --entrypoint redis-server redis:7 --port 7000 --dir /tmp/data`,
  );
});

test.each([
  ["no engine answers", { DOCKER_HOST: "unix:///nowhere/docker.sock" }],
  ["there is no docker command", { PATH: "/nowhere" }],
])("is refused where %s", async (_, env) => {
  await expect(serverImage({ ...process.env, ...env })).rejects.toThrow(/^servers in containers need a Docker engine: expected docker info to answer, got: .+: start one, or leave out --containers/);
});

/** Of the four commands that are used, what they do to a process; it stands in for an engine, and shows nothing of one. */
const STAND_IN = `#!/bin/sh
run() {
  while [ "$1" != --entrypoint ]; do [ "$1" = --name ] && name=$2; shift; done
  program=$2; shift 3
  echo $$ > "$STAND_IN_DIR/$name"; exec "$program" "$@"
}
pid() { cat "$STAND_IN_DIR/$1"; }
case $1 in
  run) shift; run "$@" ;;
  kill) kill -s "\${3#SIG}" "$(pid "$4")" ;;
  inspect) pid "$4" ;;
  rm) kill -9 "$(pid "$3")" ;;
esac
`;

test("breaks a container as it breaks a process", async ({ skip }) => {
  if ((await findServer())?.path.endsWith("redis-server") !== true) skip("no redis-server here");
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-docker-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, "docker"), STAND_IN);
  await chmod(join(dir, "docker"), 0o755);
  vi.stubEnv("PATH", `${dir}${delimiter}${process.env["PATH"]}`);
  vi.stubEnv("STAND_IN_DIR", dir);
  onTestFinished(() => void vi.unstubAllEnvs());

  const redis = await openRedis({ image: "any" });
  onTestFinished(() => redis[Symbol.asyncDispose]());
  const client = new Redis(redis.url, { commandTimeout: 300, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  const tellsPid = async (): Promise<number> => Number(/process_id:(\d+)/.exec(await client.info("server"))?.[1]);
  const first = redis.pid;
  expect(await tellsPid()).toBe(first);
  await client.set("kept", "yes");
  redis.pause();
  await expect(client.get("kept")).rejects.toThrow("timed out");
  redis.resume();
  await vi.waitFor(async () => expect(await client.get("kept")).toBe("yes"));
  for (const end of [() => redis.stop(), () => redis.kill()]) {
    await end();
    expect(() => process.kill(redis.pid, 0)).toThrow("ESRCH");
    await redis.start();
    await vi.waitFor(async () => expect(await client.get("kept")).toBe("yes"));
  }
  expect(await tellsPid()).toBe(redis.pid);
  expect(redis.pid).not.toBe(first);
});
