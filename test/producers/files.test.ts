import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, mkdtemp, readdir, readlink, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, DeadLetter } from "millrace";
import produceFiles, { type FoundFile, type NotFound, openTree, payloadOf, putFile, putFiles } from "../../producers/files.ts";
import { digest } from "../../producers/jobs/digest.ts";
import { freshPrefix, redisUrl, startRedis } from "../support/redis.ts";

const exec = promisify(execFile);
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tree-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function walk(root = dir): Promise<(FoundFile | NotFound)[]> {
  await using tree = await openTree(root);
  const found: (FoundFile | NotFound)[] = [];
  for await (const entry of tree.entries) found.push(entry);
  return found;
}

async function files(root = dir): Promise<Map<string, FoundFile>> {
  return new Map((await walk(root)).map((entry) => ("error" in entry ? expect.fail(entry.error) : [entry.path.toString("latin1"), entry])));
}

/** Once a file's last change is further back than clocks are coarse, its id holds. */
async function aged(path: string): Promise<void> {
  while (Date.now() - (await stat(path)).ctimeMs < 50) await sleep(5);
}

test("finds what find finds, whatever the names", async () => {
  const names = ["a b", "quote'\"", "new\nline", "tab\t", "Zürich", "e\u0301", "\u00e9", "東京🎉", "-rf", "*", "back\\slash", ".hidden", "a/b/c/d/e", "a/b.txt", "a-b", "empty/.keep"];
  for (const name of names) {
    await mkdir(join(dir, name, ".."), { recursive: true });
    await writeFile(join(dir, name), name);
  }
  await writeFile(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe, 0x2d])]), "");
  const sub = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x64, 0x80])]);
  await mkdir(sub);
  await writeFile(Buffer.concat([sub, Buffer.from("/ok")]), "");
  await mkdir(join(dir, "no files"));

  const { stdout } = await exec("find", [dir, "-type", "f", "-printf", "%P\\0"], { encoding: "latin1" });
  const expected = stdout.split("\0").slice(0, -1);
  expect(expected).toHaveLength(names.length + 2);

  const found = await files();
  expect([...found.keys()].sort()).toEqual(expected.sort());
});

test("agrees with find on a package of thousands of files", async () => {
  // One package, since the folder of all of them is written to by whoever else runs.
  const modules = new URL("../../node_modules/bullmq/", import.meta.url).pathname;
  const { stdout } = await exec("find", [modules, "(", "-type", "f", "-o", "-type", "l", "-xtype", "f", ")", "-printf", "%P\\0"], { encoding: "latin1", maxBuffer: 2 ** 28 });
  const found = await files(modules);
  expect([...found.keys()].sort()).toEqual(stdout.split("\0").slice(0, -1).sort());
});

test("finds more files than are read at once, in one directory and in many", async () => {
  const names = Array.from({ length: 200 }, (_, i) => [`file-${i}`, `dir-${i}/file`]).flat();
  await Promise.all(names.map((name) => mkdir(join(dir, name, ".."), { recursive: true }).then(() => writeFile(join(dir, name), ""))));
  expect((await files()).size).toBe(400);
});

test("follows links to files, not to directories, and never goes round in circles", async () => {
  await mkdir(join(dir, "a"));
  await writeFile(join(dir, "a/file"), "x");
  await symlink("..", join(dir, "a/up"));
  await symlink(dir, join(dir, "self"));
  await symlink("a/file", join(dir, "link"));
  await symlink("nowhere", join(dir, "dangling"));
  await symlink("loop", join(dir, "loop"));

  const found = await files();
  expect([...found.keys()].sort()).toEqual(["a/file", "dangling", "link", "loop"]);
  expect(found.get("link")?.inode).toBe(found.get("a/file")?.inode);
});

test("finds sockets and FIFOs without touching them", async () => {
  execFileSync("mkfifo", [join(dir, "fifo")]);
  const server = createServer().listen(join(dir, "socket"));
  await once(server, "listening");
  expect([...(await files()).keys()].sort()).toEqual(["fifo", "socket"]);
  server.close();
});

test("gives a file the same job id until it changes", async () => {
  const path = join(dir, "file");
  const idOf = async (name = "file") => {
    await aged(join(dir, name));
    return (await files()).get(name)?.jobId;
  };
  await writeFile(path, "one");
  const first = await idOf();
  expect(first).toMatch(/^[\w-]{22}$/);
  expect(await idOf()).toBe(first);

  const ids = [first];
  await appendFile(path, "two"); // another size
  ids.push(await idOf());
  const { atime, mtime } = await stat(path);
  await writeFile(path, "twoone"); // the same size, and the old time
  await utimes(path, atime, mtime);
  ids.push(await idOf());
  await rm(path);
  await writeFile(path, "twoone"); // another file of the same name
  ids.push(await idOf());
  await rename(path, join(dir, "other"));
  ids.push(await idOf("other"));
  expect(new Set(ids).size).toBe(5);
});

test("gives a link another job id when its target changes", async () => {
  await writeFile(join(dir, "target"), "one");
  await symlink("target", join(dir, "link"));
  await aged(join(dir, "target"));
  const first = (await files()).get("link")?.jobId;
  await writeFile(join(dir, "target"), "two");
  await aged(join(dir, "target"));
  expect((await files()).get("link")?.jobId).not.toBe(first);
});

test("does not trust the times of a file that was changed just now", async () => {
  let recent: string | undefined;
  do {
    await writeFile(join(dir, "file"), "one");
    recent = (await files()).get("file")?.jobId;
    // A busy machine may have taken too long to look for the change to be recent.
  } while (Date.now() - (await stat(join(dir, "file"))).ctimeMs >= 20);
  await aged(join(dir, "file"));
  const settled = (await files()).get("file")?.jobId;
  expect(recent).not.toBe(settled);
});

test("tells of a directory that cannot be listed, and goes on", async () => {
  await mkdir(join(dir, "closed"));
  await writeFile(join(dir, "closed/file"), "");
  await writeFile(join(dir, "open"), "");
  execFileSync("chmod", ["755", dir]);
  execFileSync("chmod", ["000", join(dir, "closed")]);
  // Root may list whatever the mode says, so the walk is done by a user who may not.
  const script = `
    const { openTree } = await import(${JSON.stringify(new URL("../../producers/files.ts", import.meta.url).href)});
    if (process.getuid() === 0) (process.setgid(65534), process.setgroups([]), process.setuid(65534));
    const tree = await openTree(${JSON.stringify(dir)});
    for await (const { path, error } of tree.entries) console.log(JSON.stringify([path.toString(), error ?? null]));`;
  const { stdout } = await exec(process.execPath, ["--conditions=millrace-source", "--input-type=module", "-e", script]);
  expect(stdout.trim().split("\n").sort()).toEqual(['["closed","EACCES: permission denied"]', '["open",null]']);
  execFileSync("chmod", ["755", join(dir, "closed")]);
});

test("tells of files that vanish during the walk, and goes on", async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => writeFile(join(dir, `${i}`), "")));
  await using tree = await openTree(dir);
  const found: (FoundFile | NotFound)[] = [];
  let removed: Promise<void> | undefined;
  for await (const entry of tree.entries) {
    found.push(entry);
    removed ??= rm(dir, { recursive: true });
    await removed;
  }
  for (const entry of found) if ("error" in entry) expect(entry.error).toBe("ENOENT: no such file or directory");
  expect(found.filter((entry) => !("error" in entry)).length).toBeGreaterThanOrEqual(1);
});

test("shares one walk among many readers: each entry goes to one of them", async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => writeFile(join(dir, `${i}`), "")));
  await using tree = await openTree(dir);
  const readers = await Promise.all(
    Array.from({ length: 5 }, async (_, reader) => {
      const mine: string[] = [];
      for await (const { path } of tree.entries) {
        mine.push(path.toString());
        if (reader === 0) break; // one that leaves does not end it for the others
      }
      return mine;
    }),
  );
  expect(readers[0]).toHaveLength(1);
  expect(readers.flat().sort()).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`).sort());
});

test("leaves no directory open when it is left half-way", async () => {
  await mkdir(join(dir, "a/b/c"), { recursive: true });
  await Promise.all(["x", "a/x", "a/b/x", "a/b/c/x"].map((name) => writeFile(join(dir, name), "")));
  const openDirectories = async (): Promise<number> => {
    const descriptors = await readdir("/proc/self/fd");
    // Others of this process come and go meanwhile.
    const targets = await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => "")));
    return targets.filter((target) => target.startsWith(dir)).length;
  };
  for (let entries = 0; entries < 4; entries++) {
    const tree = await openTree(dir);
    const iterator = tree.entries[Symbol.asyncIterator]();
    for (let i = 0; i < entries; i++) await iterator.next();
    expect(await openDirectories()).toBeGreaterThan(0);
    await tree[Symbol.asyncDispose]();
    expect(await openDirectories()).toBe(0);
  }
});

test("refuses what is not a directory", async () => {
  await writeFile(join(dir, "file"), "");
  await expect(openTree(join(dir, "file"))).rejects.toMatchObject({ code: "OPTION_INVALID", message: expect.stringMatching(/expected a directory, got ".*file": ENOTDIR/) });
  await expect(openTree(join(dir, "none"))).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringMatching(/got ".*none": ENOENT/) });
});

test("carries the bytes of a name only where text cannot", () => {
  expect(payloadOf(Buffer.from("/a/Zürich"))).toEqual({ path: "/a/Zürich" });
  const odd = Buffer.from([0x2f, 0x61, 0xff]);
  expect(payloadOf(odd)).toEqual({ path: "/a\ufffd", pathBase64: odd.toString("base64") });
});

test("puts one job a file, and again only those that changed", async () => {
  await writeFile(join(dir, "one"), "1");
  await writeFile(join(dir, "two"), "2");
  await Promise.all([aged(join(dir, "one")), aged(join(dir, "two"))]);
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  const said: string[] = [];
  const context = { signal: new AbortController().signal, log: { info: (text: string) => void said.push(text), warn: (text: string) => void said.push(text) } };

  await produceFiles(app, [dir], context);
  await writeFile(join(dir, "two"), "changed");
  await produceFiles(app, [dir], context);

  expect(said).toEqual(["2 put, 0 there already, 0 not found", "1 put, 1 there already, 0 not found"]);
  expect((await app.queue(digest).counts()).waiting).toBe(3);
  await expect(produceFiles(app, [], context)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(produceFiles(app, [dir, dir], context)).rejects.toMatchObject({ code: "OPTION_INVALID" });
});

test("stops putting when it is told to, and says so", async () => {
  await Promise.all(Array.from({ length: 500 }, (_, i) => writeFile(join(dir, `${i}`), "")));
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  const controller = new AbortController();
  const reason = new Error("enough");
  await using tree = await openTree(dir);
  let put = 0;
  const report = { notFound: () => expect.fail("all are there"), file: () => void (++put === 100 && controller.abort(reason)) };
  await putFiles(app.queue(digest), tree, { signal: controller.signal, report, inFlight: 10 });
  expect(put).toBeGreaterThanOrEqual(100);
  expect(put).toBeLessThanOrEqual(110);
  expect((await app.queue(digest).counts()).waiting).toBe(put);

  const log = { info: () => {}, warn: () => {} };
  await expect(produceFiles(app, [dir], { signal: controller.signal, log })).rejects.toBe(reason);
});

test("ends with the first error of a put, as it is", async () => {
  await Promise.all(Array.from({ length: 50 }, (_, i) => writeFile(join(dir, `${i}`), "")));
  const redis = await startRedis({ maxmemory: "1mb" }); // less than an empty server needs
  await using app = connect({ redis: redis.url, prefix: freshPrefix() });
  await using tree = await openTree(dir);
  const report = { notFound: () => {}, file: () => {} };
  await expect(putFiles(app.queue(digest), tree, { signal: new AbortController().signal, report })).rejects.toMatchObject({ code: "BACKEND_FULL" });
});

test("tries a file again that failed before, under the next generation of its id", async () => {
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  const queue = app.queue(digest);
  const file = { path: Buffer.from("file"), jobId: "some-id" };
  const put = () => putFile(queue, Buffer.from("/root"), file);
  const settle = async (end: "ack" | "fail") => {
    for await (const delivery of queue.deliveries()) {
      if (end === "ack") await delivery.ack({ bytes: 0, sha256: "0".repeat(64), lines: 0, mime: "inode/x-empty" });
      else await delivery.fail(new DeadLetter("EACCES: permission denied"));
      return;
    }
  };

  expect(await put()).toEqual({ id: "some-id", known: false });
  expect(await put()).toEqual({ id: "some-id", known: true }); // it waits
  await settle("fail");
  expect(await put()).toEqual({ id: "some-id.2", known: false });
  expect(await put()).toEqual({ id: "some-id.2", known: true });
  await settle("fail");
  expect(await put()).toEqual({ id: "some-id.3", known: false });
  await settle("ack");
  expect(await put()).toEqual({ id: "some-id.3", known: true }); // it is done
});
