import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type App, connect, type Pool } from "millrace";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { thumbnail } from "../../producers/jobs/thumbnail.ts";
import thumbnailHandler from "../../workers/thumbnail.ts";
import { recordedLog } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let dir: string;
let app: App;
let pool: Pool;

// One pool for all, so that its threads are started once.
beforeAll(() => {
  app = connect({ redis: redisUrl(), prefix: freshPrefix(), log: recordedLog() });
  pool = app.pool([thumbnailHandler]);
});
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "thumbnail-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Red, wider than high, in the format that the name says. */
async function picture(name: string, width = 600, height = 400): Promise<string> {
  const path = join(dir, name);
  await sharp({ create: { width, height, channels: 3, background: "red" } }).toFile(path);
  return path;
}

interface Size {
  readonly width?: number;
  readonly height?: number;
}

async function outcomeOf(source: string, name: string, size: Size = {}) {
  const put = await app.put(thumbnail, { source, target: join(dir, name), ...size }, { attempts: 2 });
  return put.outcome({ timeout: "20s" });
}

async function make(source: string, name: string, size?: Size) {
  const outcome = await outcomeOf(source, name, size);
  if (outcome.state !== "completed") throw new Error(`expected it to be completed, but: ${JSON.stringify(outcome)}`);
  return outcome.result;
}

test.each(["jpg", "jpeg", "png", "webp", "avif", "JPG"])("makes a thumbnail that keeps the proportions: %s", async (ending) => {
  const result = await make(await picture("large.png"), `small.${ending}`, { width: 90 });
  expect(result).toMatchObject({ width: 90, height: 60 });
  const { format, width, height } = await sharp(join(dir, `small.${ending}`)).metadata();
  expect({ format, width, height }).toEqual({ format: { jpg: "jpeg", jpeg: "jpeg", avif: "heif" }[ending.toLowerCase()] ?? ending, width: 90, height: 60 });
});

test.each(["jpg", "png", "webp", "avif", "gif", "tiff"])("reads %s", async (ending) => {
  expect(await make(await picture(`large.${ending}`), "small.jpg")).toMatchObject({ width: 320, height: 213 });
});

test("reads SVG", async () => {
  const source = join(dir, "drawn.svg");
  await writeFile(source, `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320"><circle cx="99" cy="99" r="99"/></svg>`);
  expect(await make(source, "small.png")).toMatchObject({ width: 320, height: 160 });
});

test("turns a picture upright that says it lies on its side, and keeps nothing else that it says", async () => {
  const path = join(dir, "side.jpg");
  await sharp({ create: { width: 600, height: 400, channels: 3, background: "red" } }).withMetadata({ orientation: 6, exif: { IFD0: { Copyright: "somebody" } } }).toFile(path);
  expect(await make(path, "small.jpg", { height: 60 })).toMatchObject({ width: 40, height: 60 });
  const { orientation, exif } = await sharp(join(dir, "small.jpg")).metadata();
  expect({ orientation, exif }).toEqual({ orientation: undefined, exif: undefined });
});

test("leaves a small picture as large as it is", async () => {
  expect(await make(await picture("tiny.png", 12, 8), "small.png")).toMatchObject({ width: 12, height: 8 });
});

test("makes the target's folder, and leaves nothing beside the target", async () => {
  await make(await picture("large.png"), "a/b/small.jpg");
  await make(join(dir, "large.png"), "a/b/small.jpg"); // a second delivery
  expect(await readdir(join(dir, "a/b"))).toEqual(["small.jpg"]);
});

const broken: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ["a missing file", async () => undefined, /ENOENT/],
  ["a folder", () => mkdir(join(dir, "source")), /no regular file/],
  ["a pipe that nobody writes to", () => promisify(execFile)("mkfifo", [join(dir, "source")]), /no regular file/],
  ["a way through a file", async () => [await writeFile(join(dir, "file"), ""), await promisify(execFile)("ln", ["-s", "file/none", join(dir, "source")])], /ENOTDIR/],
  ["an empty file", () => writeFile(join(dir, "source"), ""), /not a picture/],
  ["text", () => writeFile(join(dir, "source"), "no picture"), /not a picture/],
  ["a picture that was cut off in its head", async () => writeFile(join(dir, "source"), (await jpeg(600)).subarray(0, 100)), /not a picture/],
  ["a picture that was cut off in its midst", async () => writeFile(join(dir, "source"), (await jpeg(600)).subarray(0, 9000)), /not a picture/],
  ["a file too large to be read", async () => [await writeFile(join(dir, "source"), ""), await truncate(join(dir, "source"), 3 * 2 ** 30)], /at most 268435456 bytes, but .* has 3221225472/],
  ["a picture of more pixels than a machine can hold", () => writeFile(join(dir, "source"), `<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"/>`), /pixel limit/],
];

async function jpeg(side: number): Promise<Buffer> {
  return sharp({ create: { width: side, height: side, channels: 3, background: "red", noise: { type: "gaussian", mean: 128, sigma: 30 } } }).jpeg().toBuffer();
}

test.each(broken)("buries what no further attempt can read: %s", async (_, prepare, reason) => {
  await prepare();
  expect(await outcomeOf(join(dir, "source"), "small.jpg")).toMatchObject({ state: "failed", error: { attempts: 1, message: expect.stringMatching(reason) as string } });
  expect(await readdir(dir)).not.toContain("small.jpg");
});

test("leaves it to the retry policy when the target cannot be written", async () => {
  await writeFile(join(dir, "file"), "");
  expect(await outcomeOf(await picture("large.png"), "file/small.jpg")).toMatchObject({ state: "failed", error: { attempts: 2, message: expect.stringMatching(/ENOTDIR|EEXIST/) as string } });
});

test("resizes in threads of the pool", () => {
  expect(thumbnailHandler.threads).toEqual({ module: new URL("../../workers/thumbnail.ts", import.meta.url).href });
});

test("writes nothing once its signal has fired", async () => {
  const reason = new Error("enough");
  const source = await picture("large.png");
  const task = { id: "1", signal: AbortSignal.abort(reason) } as never;
  await expect(thumbnailHandler.run({ source, target: join(dir, "small.jpg"), width: 9, height: 9 }, task)).rejects.toBe(reason);
  expect(await readdir(dir)).toEqual(["large.png"]);
});

test("says what to install where sharp is missing", async () => {
  const script = `
    require("node:module").registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== "sharp") return next(specifier, context);
        throw Object.assign(new Error("Cannot find package 'sharp'"), { code: "ERR_MODULE_NOT_FOUND" });
      },
    });
    import(${JSON.stringify(new URL("../../workers/thumbnail.ts", import.meta.url).href)}).then(async ({ default: handler }) => {
      await handler.run({ source: "/none", target: "/none.jpg", width: 1, height: 1 }, {}).catch(({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=millrace-source", "--input-type=commonjs", "-e", script]);
  expect(JSON.parse(stdout)).toEqual({ name: "MissingPackageError", code: "PACKAGE_MISSING", message: expect.stringContaining("npm install sharp") });
});

test("refuses, before any I/O, what it could not write", async () => {
  await using app = connect({ redis: "redis://127.0.0.1:1" });
  for (const wrong of [{ target: "/a.gif" }, { target: "a.jpg" }, { source: "a.jpg" }, { width: 0 }, { height: 1.5 }]) {
    await expect(app.put(thumbnail, { source: "/a.jpg", target: "/b.jpg", ...wrong })).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
  }
});
