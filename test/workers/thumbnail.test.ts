import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "millrace";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { thumbnail } from "../../producers/jobs/thumbnail.ts";
import thumbnailHandler, { makeThumbnail } from "../../workers/thumbnail.ts";
import { testApp } from "../support/app.ts";

let dir: string;
const task = { id: "job:1", signal: new AbortController().signal };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "thumbnail-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Red, wider than high. */
async function picture(name: string, width = 600, height = 400): Promise<string> {
  const path = join(dir, name);
  await sharp({ create: { width, height, channels: 3, background: "red" } }).toFile(path);
  return path;
}

const make = (source: string, name: string, size: { width?: number; height?: number } = {}) =>
  makeThumbnail({ source, target: join(dir, name), width: 320, height: 320, ...size }, task);

test.each(["jpg", "jpeg", "png", "webp", "avif", "JPG"])("makes a thumbnail that keeps the proportions: %s", async (ending) => {
  const result = await make(await picture("large.png"), `small.${ending}`, { width: 90 });
  expect(result).toMatchObject({ width: 90, height: 60 });
  const { format, width, height } = await sharp(join(dir, `small.${ending}`)).metadata();
  expect({ format, width, height }).toEqual({ format: { jpg: "jpeg", jpeg: "jpeg", avif: "heif" }[ending.toLowerCase()] ?? ending, width: 90, height: 60 });
});

test("turns a picture upright that says it lies on its side", async () => {
  const path = join(dir, "side.jpg");
  await sharp({ create: { width: 600, height: 400, channels: 3, background: "red" } }).withMetadata({ orientation: 6 }).toFile(path);
  expect(await make(path, "small.jpg", { height: 60 })).toMatchObject({ width: 40, height: 60 });
});

test("leaves a small picture as large as it is", async () => {
  expect(await make(await picture("tiny.png", 12, 8), "small.png")).toMatchObject({ width: 12, height: 8 });
});

test("makes the target's folder, and leaves nothing beside the target", async () => {
  await make(await picture("large.png"), "a/b/small.jpg");
  await make(join(dir, "large.png"), "a/b/small.jpg"); // a second delivery
  expect(await readdir(join(dir, "a/b"))).toEqual(["small.jpg"]);
});

test("buries what no further attempt can read", async () => {
  await writeFile(join(dir, "text.jpg"), "no picture");
  await writeFile(join(dir, "cut.png"), (await sharp(await picture("large.png")).png().toBuffer()).subarray(0, 100));
  for (const [source, reason] of [["none.jpg", /ENOENT/], [".", /EISDIR/], ["text.jpg", /not a picture/], ["cut.png", /not a picture/]] as const) {
    await expect(make(join(dir, source), "small.jpg")).rejects.toMatchObject({ code: "DEAD_LETTER", message: expect.stringMatching(reason) });
  }
});

test("leaves it to the retry policy when the target cannot be written", async () => {
  await writeFile(join(dir, "file"), "");
  await expect(make(await picture("large.png"), "file/small.jpg")).rejects.toMatchObject({ code: expect.stringMatching(/ENOTDIR|EEXIST/) });
});

test("writes nothing once its signal has fired", async () => {
  const reason = new Error("enough");
  const source = await picture("large.png");
  await expect(makeThumbnail({ source, target: join(dir, "small.jpg"), width: 9, height: 9 }, { id: "1", signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
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
    import(${JSON.stringify(new URL("../../workers/thumbnail.ts", import.meta.url).href)}).then(async ({ makeThumbnail }) => {
      await makeThumbnail({ source: "/none", target: "/none.jpg", width: 1, height: 1 }, {}).catch(({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=millrace-source", "--input-type=commonjs", "-e", script]);
  expect(JSON.parse(stdout)).toEqual({ name: "MissingPackageError", code: "PACKAGE_MISSING", message: expect.stringContaining("npm install sharp") });
});

test("runs what is put", async () => {
  const source = await picture("large.png");
  const app = testApp();
  await using _ = app.pool([thumbnailHandler], { concurrency: 2 });
  const made = await app.put(thumbnail, { source, target: join(dir, "small.webp") });
  const none = await app.put(thumbnail, { source: join(dir, "none.png"), target: join(dir, "none.webp") });
  expect(await made.result({ timeout: "20s" })).toMatchObject({ width: 320, height: 213 });
  expect(await none.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { attempts: 1 } });
});

test("refuses, before any I/O, what it could not write", async () => {
  await using app = connect({ redis: "redis://127.0.0.1:1" });
  for (const wrong of [{ target: "/a.gif" }, { target: "a.jpg" }, { source: "a.jpg" }, { width: 0 }, { height: 1.5 }]) {
    await expect(app.put(thumbnail, { source: "/a.jpg", target: "/b.jpg", ...wrong })).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
  }
});
