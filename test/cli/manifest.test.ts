import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkManifest, manifestLine, writeManifest } from "../../src/cli/manifest.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "manifest-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const digest = { bytes: 3, sha256: "ab", lines: 1, mime: "text/plain" };

test("gives a file one line of JSON", () => {
  expect(manifestLine(Buffer.from("a/Zürich\n"), digest)).toBe('{"path":"a/Zürich\\n","bytes":3,"sha256":"ab","lines":1,"mime":"text/plain"}\n');
  expect(manifestLine(Buffer.from("fifo"), { error: "FIFO: not a regular file" })).toBe('{"path":"fifo","error":"FIFO: not a regular file"}\n');
});

test("carries the bytes of a name that is not valid UTF-8", () => {
  const name = Buffer.from([0x61, 0xff, 0x62]);
  const { path, pathBase64 } = JSON.parse(manifestLine(name, digest)) as { path: string; pathBase64: string };
  expect(path).toBe("a\ufffdb");
  expect(Buffer.from(pathBase64, "base64")).toEqual(name);
});

test("writes every line, and leaves nothing beside the file", async () => {
  const path = join(dir, "manifest");
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`);
  await writeManifest(path, lines);
  expect(await readFile(path, "utf8")).toBe(lines.join(""));
  expect(await readdir(dir)).toEqual(["manifest"]);
});

test("replaces the file at once: who has the old one open still reads it whole", async () => {
  const path = join(dir, "manifest");
  await writeManifest(path, ["old\n"]);
  await chmod(path, 0o600);
  await using old = await open(path);
  await writeManifest(path, ["new\n"]);
  expect(await old.readFile("utf8")).toBe("old\n");
  expect(await readFile(path, "utf8")).toBe("new\n");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("leaves the old file as it was when the new one cannot be written", async () => {
  const path = join(dir, "manifest");
  await writeManifest(path, ["old\n"]);
  function* broken() {
    yield "x".repeat(200_000);
    throw new Error("no more");
  }
  await expect(writeManifest(path, broken())).rejects.toThrow("no more");
  expect(await readFile(path, "utf8")).toBe("old\n");
  expect(await readdir(dir)).toEqual(["manifest"]);
});

test("says that the disk is full, and what to do", async () => {
  await expect(writeManifest("/dev/full", ["line\n"])).rejects.toMatchObject({
    code: "ENOSPC",
    message: expect.stringMatching(/^the manifest \/dev\/full could not be written: ENOSPC: no space left on device.*kept for a day/),
  });
});

test("replaces what a link leads to, and writes into a pipe", async () => {
  await mkdir(join(dir, "real"));
  await writeManifest(join(dir, "real/manifest"), ["old\n"]);
  await symlink("real/manifest", join(dir, "link"));
  await writeManifest(join(dir, "link"), ["new\n"]);
  expect(await readlink(join(dir, "link"))).toBe("real/manifest");
  expect(await readFile(join(dir, "real/manifest"), "utf8")).toBe("new\n");

  execFileSync("mkfifo", [join(dir, "pipe")]);
  const read = readFile(join(dir, "pipe"), "utf8");
  await writeManifest(join(dir, "pipe"), ["through a pipe\n"]);
  expect(await read).toBe("through a pipe\n");
});

test("refuses a place that is none before any work is done", async () => {
  await writeFile(join(dir, "file"), "");
  await checkManifest(join(dir, "file"));
  await checkManifest(join(dir, "new"));
  await checkManifest("/dev/null");
  await expect(checkManifest(dir)).rejects.toMatchObject({ code: "OPTION_INVALID", message: `expected a file for the manifest, got the directory ${dir}` });
  await expect(checkManifest(join(dir, "none/manifest"))).rejects.toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining("ENOENT") });
  await expect(checkManifest(join(dir, "file/manifest"))).rejects.toMatchObject({ code: "OPTION_INVALID" });
});
