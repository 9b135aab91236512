import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { connect } from "millrace";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digest } from "../../producers/jobs/digest.ts";
import { createLog } from "../../src/log.ts";
import digestHandler, { digestFile, digestOf } from "../../workers/digest.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const exec = promisify(execFile);
const task = { signal: new AbortController().signal };
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "digest-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function fileOf(name: string, content: string | Buffer): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
}

test.each([
  ["a space.txt", "one\ntwo\n"],
  ['quotes "double" and \'single\'', "x"],
  ["a newline\nin the name", "no end of line"],
  ["Zürich 東京 🎉.txt", "Grüezi\n".repeat(100_000)],
  ["-n", "begins with a dash\n"],
  ["empty", ""],
  ["one byte longer than a piece", Buffer.alloc(256 * 1024 + 1, "ab\n")],
  ["one piece exactly", Buffer.alloc(256 * 1024, "ab\n")],
  ["binary", Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7919) % 256))],
])("agrees with sha256sum and wc on %j", async (name, content) => {
  const path = await fileOf(name, content);
  const { stdout: sum } = await exec("sha256sum", ["--zero", "--", path]);
  const { stdout: count } = await exec("wc", ["-l", "-c", "--", path]);
  const [lines, bytes] = count.trim().split(/\s+/).map(Number);

  const digest = await digestFile({ path }, task);

  expect(digest).toMatchObject({ sha256: sum.slice(0, 64), lines, bytes });
});

test("reads a file whose name is not valid UTF-8 by its bytes", async () => {
  const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x66, 0xff, 0xfe, 0x80])]);
  await writeFile(path, "content\n");

  const digest = await digestFile({ path: path.toString(), pathBase64: path.toString("base64") }, task);

  expect(digest).toMatchObject({ bytes: 8, lines: 1 });
  await expect(digestFile({ path: path.toString() }, task)).rejects.toThrow("ENOENT");
});

test.each([
  ["empty", "", "inode/x-empty"],
  ["a.png", "plain words under a false name\n", "text/plain"],
  ["text of many bytes a character", "é東🎉".repeat(100_000), "text/plain"],
  ["png.txt", Buffer.from("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489", "hex"), "image/png"],
  ["gzip", Buffer.from("1f8b0800000000000003", "hex"), "application/gzip"],
  ["NUL in the middle", "words\0words", "application/octet-stream"],
  ["NUL far behind", `${"a".repeat(300_000)}\0`, "application/octet-stream"],
  ["latin-1", Buffer.from("Zürich", "latin1"), "application/octet-stream"],
  ["a character cut off at the end", Buffer.from("東京").subarray(0, 5), "application/octet-stream"],
  ["the beginning of a PDF", "%PDF-", "application/pdf"],
  ["the beginning of a zip", Buffer.from("504b0304140000", "hex"), "application/zip"],
])("tells the type by content: %s", async (name, content, mime) => {
  expect((await digestFile({ path: await fileOf(name, content) }, task)).mime).toBe(mime);
});

test("does not depend on where the bytes are cut", async () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }).map((a) => Buffer.from(a)), fc.string({ unit: "grapheme", maxLength: 40 }).map((s) => Buffer.from(s)));
  await fc.assert(
    fc.asyncProperty(bytes, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 60 }), async (whole, lengths) => {
      const parts: Buffer[] = [];
      for (let at = 0, i = 0; at < whole.length; i++) {
        const length = lengths[i % lengths.length] ?? 1;
        parts.push(whole.subarray(at, at + length));
        at += length;
      }
      expect(await digestOf(parts)).toEqual(await digestOf([whole]));
    }),
    { numRuns: 300 },
  );
});

test("calls text exactly what a strict decoder accepts", async () => {
  const nearlyText = fc
    .tuple(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), fc.option(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 255 }))))
    .map(([text, damage]) => {
      const bytes = Buffer.from(`- ${text}`);
      if (damage !== null) bytes[damage[0] % bytes.length] = damage[1];
      return bytes;
    });
  await fc.assert(
    fc.asyncProperty(nearlyText, async (bytes) => {
      const { mime } = await digestOf(Array.from(bytes, (byte) => Buffer.from([byte])));
      fc.pre(mime === "text/plain" || mime === "application/octet-stream"); // not by chance another format's first bytes
      expect(mime === "text/plain").toBe(!bytes.includes(0) && decodes(bytes));
    }),
    { numRuns: 500 },
  );
});

function decodes(bytes: Buffer): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

test("gives a file up for good when it cannot be a file, and says why", async () => {
  const socket = join(dir, "socket");
  const server = createServer().listen(socket);
  await once(server, "listening");
  execFileSync("mkfifo", [join(dir, "fifo")]);
  await symlink("nowhere", join(dir, "dangling"));
  await symlink("loop", join(dir, "loop"));
  await mkdir(join(dir, "folder"));
  await fileOf("plain", "");

  const reasons = {
    vanished: "ENOENT: no such file or directory",
    dangling: "ENOENT: dangling link",
    loop: "ELOOP: too many symbolic links encountered",
    "plain/below a file": "ENOTDIR: not a directory",
    ["x".repeat(300)]: "ENAMETOOLONG: name too long",
    folder: "EISDIR: is a directory",
    fifo: "FIFO: not a regular file",
    socket: "socket: not a regular file",
  };
  for (const [name, reason] of Object.entries(reasons)) {
    await expect(digestFile({ path: join(dir, name) }, task)).rejects.toMatchObject({ code: "DEAD_LETTER", message: reason });
  }
  await expect(digestFile({ path: "/dev/zero" }, task)).rejects.toMatchObject({ code: "DEAD_LETTER", message: "character device: not a regular file" });
  server.close();
});

test("follows a link to a file", async () => {
  const target = await fileOf("target", "through a link\n");
  await symlink(target, join(dir, "link"));
  expect(await digestFile({ path: join(dir, "link") }, task)).toEqual(await digestFile({ path: target }, task));
});

// Root may read whatever the mode says, so the reading is done by a user who may not.
test("gives an unreadable file up for good", async () => {
  const path = await fileOf("secret", "x");
  await chmod(path, 0o000);
  await chmod(dir, 0o755);
  const script = `
    const { digestFile } = await import(${JSON.stringify(new URL("../../workers/digest.ts", import.meta.url).href)});
    if (process.getuid() === 0) (process.setgid(65534), process.setgroups([]), process.setuid(65534));
    await digestFile({ path: ${JSON.stringify(path)} }, { signal: new AbortController().signal }).catch((error) => console.log(error.code, error.message));`;
  const { stdout } = await exec(process.execPath, ["--conditions=millrace-source", "--input-type=module", "-e", script]);
  expect(stdout).toBe("DEAD_LETTER EACCES: permission denied\n");
});

test("does not wait for a FIFO that takes a file's place", async () => {
  const path = join(dir, "swapped");
  const fifo = join(dir, "the fifo");
  execFileSync("mkfifo", [fifo]);
  // Whenever the swap falls: the answer is a digest or a reason, at once.
  for (let round = 0; round < 50; round++) {
    await writeFile(join(dir, "the file"), "content");
    await rename(join(dir, "the file"), path);
    const answer = digestFile({ path }, task).then(({ bytes }) => bytes, (error: Error) => error.message);
    execFileSync("ln", ["-f", fifo, path]);
    expect([7, "FIFO: not a regular file"]).toContain(await answer);
    await rm(path);
  }
});

test("reads files of /proc, which claim to be empty", async () => {
  const digest = await digestFile({ path: "/proc/self/status" }, task);
  expect(digest.bytes).toBeGreaterThan(100);
});

test("stops between two pieces when its task is cancelled", async () => {
  const path = join(dir, "long");
  await writeFile(path, "");
  await truncate(path, 20 * 2 ** 30);
  const controller = new AbortController();
  const digest = digestFile({ path }, { signal: controller.signal });
  const reason = new Error("cancelled by the test");
  setTimeout(() => controller.abort(reason), 20);
  await expect(digest).rejects.toBe(reason);
  await rm(path);
});

test("tells what may pass from what will not", async () => {
  const script = `
    const { digestFile } = await import(${JSON.stringify(new URL("../../workers/digest.ts", import.meta.url).href)});
    const { openSync } = await import("node:fs");
    const digest = () => digestFile({ path: ${JSON.stringify(await fileOf("fine", "x"))} }, { signal: new AbortController().signal });
    await digest();
    try { for (;;) openSync("/dev/null"); } catch {}
    await digest().catch((error) => console.log(error.constructor.name, error.message));`;
  const { stdout } = await exec("sh", ["-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath, "--conditions=millrace-source", "--input-type=module", "-e", script]);
  expect(stdout).toBe("Error EMFILE: too many open files\n");
});

test("streams a file of 1 GiB in less than 200 MB of memory", async () => {
  const path = join(dir, "sparse");
  await using file = await open(path, "w");
  await file.truncate(2 ** 30);
  const script = `
    const { digestFile } = await import(${JSON.stringify(new URL("../../workers/digest.ts", import.meta.url).href)});
    const digest = await digestFile({ path: ${JSON.stringify(path)} }, { signal: new AbortController().signal });
    console.log(JSON.stringify({ ...digest, residentKiB: process.resourceUsage().maxRSS }));`;
  const child = spawn(process.execPath, ["--conditions=millrace-source", "--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const { residentKiB, ...digest } = JSON.parse((await child.stdout.setEncoding("utf8").toArray()).join("")) as { residentKiB: number };
  // head -c 1G /dev/zero | sha256sum
  const sha256 = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";
  expect(digest).toEqual({ bytes: 2 ** 30, sha256, lines: 0, mime: "application/octet-stream" });
  expect(residentKiB * 1024).toBeLessThan(200e6);
}, 60_000);

test("digests what is put into its queue, and makes a dead letter of what cannot be read", async () => {
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix(), log: createLog({ level: "silent" }) });
  await using _ = app.pool([digestHandler]);
  const read = await app.put(digest, { path: await fileOf("put", "one\ntwo\n") });
  const missing = await app.put(digest, { path: join(dir, "missing") });
  expect(await read.result({ timeout: "20s" })).toMatchObject({ bytes: 8, lines: 2, mime: "text/plain" });
  expect(await missing.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { message: "ENOENT: no such file or directory", attempts: 1 } });
});

test("uses its memory again, and never for two files at once", async () => {
  const contents = Array.from({ length: 40 }, (_, i) => Buffer.alloc(300_000 + i, `file ${i} `));
  const paths = await Promise.all(contents.map((content, i) => fileOf(`many-${i}`, content)));
  const expected = await Promise.all(contents.map((content) => digestOf([content])));
  for (let round = 0; round < 3; round++) {
    expect(await Promise.all(paths.map((path) => digestFile({ path }, task)))).toEqual(expected);
  }
});
