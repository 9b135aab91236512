import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { RedisServerError } from "../../src/errors.ts";
import { ensureServer, findServer, installCommand, missingServer, platformOf } from "../../src/redis/server.ts";

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function programIn(dir: string, name: string, says: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, `#!/bin/sh\necho '${says}'\n`);
  await chmod(path, 0o755);
  return path;
}

test("finds redis-server, or valkey-server, on the PATH", async () => {
  const dir = await folder();
  expect(await findServer({ PATH: dir })).toBeUndefined();
  const valkey = await programIn(dir, "valkey-server", "Valkey server v=8.1.0 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64");
  expect(await findServer({ PATH: ["/no/such/folder", "", dir].join(delimiter) })).toEqual({ path: valkey, version: "8.1.0" });
  const redis = await programIn(dir, "redis-server", "Redis server v=10.0.1 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64");
  expect(await findServer({ PATH: dir })).toEqual({ path: redis, version: "10.0.1" });
});

test("takes what comes first on the PATH, of either name", async () => {
  const [first, second] = [await folder(), await folder()];
  await programIn(second, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64");
  const path = await programIn(first, "valkey-server", "Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.1 bits=64");
  expect(await findServer({ PATH: [first, second].join(delimiter) })).toEqual({ path, version: "9.1.2" });
});

test("passes over what is too old, no program, or no server", async () => {
  const dir = await folder();
  await programIn(dir, "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64");
  expect(await findServer({ PATH: dir })).toBeUndefined();
  await programIn(dir, "redis-server", "something else");
  expect(await findServer({ PATH: dir })).toBeUndefined();
  await chmod(join(dir, "redis-server"), 0o644);
  expect(await findServer({ PATH: dir })).toBeUndefined();
  const newer = await folder();
  const path = await programIn(newer, "redis-server", "Redis server v=7.2.4 sha=0");
  expect(await findServer({ PATH: [dir, newer].join(delimiter) })).toEqual({ path, version: "7.2.4" });
});

test("installs nothing where a server is", async () => {
  const dir = await folder();
  await symlink(await programIn(dir, "real", "Redis server v=7.4.0"), join(dir, "redis-server"));
  const lines: string[] = [];
  expect(await ensureServer((line) => lines.push(line), { PATH: dir })).toMatchObject({ version: "7.4.0" });
  expect(lines).toEqual([]);
});

test.each([
  ["linux", 'ID=debian\nVERSION_ID="12"\n', "sudo apt-get install -y redis-server"],
  ["linux", "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n", "sudo apt-get install -y redis-server"],
  ["linux", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt-get install -y redis-server"],
  ["linux", "ID=fedora\n", "sudo dnf install -y valkey"],
  ["linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install -y redis"],
  ["linux", "ID=alpine\n", "apk add redis"],
  ["linux", "ID=arch\n", "sudo pacman -S --noconfirm valkey"],
  ["linux", 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', "sudo zypper install -y redis"],
  ["darwin", "", "brew install redis"],
  ["linux", "", /docker run .* REDIS_URL/],
  ["win32", "", /docker run .* REDIS_URL/],
] as const)("on %s %j says how to install: %s", (system, osRelease, command) => {
  expect(installCommand(platformOf(system, osRelease))).toMatch(command);
  const error = missingServer(platformOf(system, osRelease));
  expect(error).toBeInstanceOf(RedisServerError);
  expect(error.message).toMatch(command);
  expect(error.message).toContain("REDIS_URL");
});
