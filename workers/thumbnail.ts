/**
 * Runs `thumbnail`: reads a picture (JPEG, PNG, WebP, AVIF, GIF, TIFF or SVG) and writes a small one, upright and without metadata.
 *
 * Needs sharp, an optional package: `npm install sharp`. What is no picture, or one of more than 268 million pixels, is a
 * dead letter. The target is written beside its place and then moved there, so that nobody sees half of one, whenever the
 * work is cut off; a job that runs twice leaves one target.
 */

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { DeadLetter, defineHandler, MissingPackageError } from "millrace";
import { thumbnail } from "../producers/jobs/thumbnail.ts";

export default defineHandler(thumbnail, { handle: makeThumbnail });

export interface Picture {
  readonly source: string;
  readonly target: string;
  readonly width: number;
  readonly height: number;
}

/** What no further attempt mends: the source is not there, may not be read, or is a directory. */
const lasting = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG"]);

/**
 * @param task  its signal is heeded between reading, resizing and writing
 * @throws DeadLetter for what stays unreadable, MissingPackageError without sharp, an ordinary error for what may pass
 */
export async function makeThumbnail(
  { source, target, width, height }: Picture,
  task: { readonly id: string; readonly signal: AbortSignal },
): Promise<{ width: number; height: number; bytes: number }> {
  const sharp = await loadSharp();
  const original = await readSource(source);
  task.signal.throwIfAborted();
  const { data, info } = await sharp(original)
    .rotate()
    .resize({ width, height, fit: "inside", withoutEnlargement: true })
    .toFormat(formatOf(target))
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw new DeadLetter(`not a picture that can be read: ${error.message}`);
    });
  task.signal.throwIfAborted();
  await writeWhole(target, data, task.id);
  return { width: info.width, height: info.height, bytes: data.length };
}

/** With the first job and not with the module, so that a worker of other handlers runs without it. An ordinary error: an operator can mend it while attempts last. */
async function loadSharp() {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new MissingPackageError("sharp", "the worker of thumbnail", { cause: error });
  }
}

async function readSource(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw lasting.has(code) ? new DeadLetter(message) : error;
  }
}

function formatOf(target: string): "jpeg" | "png" | "webp" | "avif" {
  const ending = extname(target).slice(1).toLowerCase();
  return ending === "jpg" ? "jpeg" : (ending as "jpeg" | "png" | "webp" | "avif");
}

async function writeWhole(target: string, data: Buffer, jobId: string): Promise<void> {
  const folder = dirname(target);
  await mkdir(folder, { recursive: true });
  // Of this job alone, and the same for each of its attempts: what one left behind the next overwrites.
  const part = join(folder, `.${basename(target)}.${jobId.replaceAll(/[^\w-]/g, "_")}.part`);
  try {
    await writeFile(part, data);
    await rename(part, target);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
