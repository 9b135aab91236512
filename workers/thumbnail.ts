/**
 * Runs `thumbnail`, in threads: reads a picture (JPEG, PNG, WebP, AVIF, GIF, TIFF or SVG) and writes a small one, upright and
 * without metadata.
 *
 * Needs sharp, an optional package: `npm install sharp`. What is no picture, or one of more than 268 million pixels or
 * 256 MiB, is a dead letter. The target is written beside its place and then moved there, so that nobody sees half of one,
 * whenever the work is cut off; a job that runs twice leaves one target.
 */

import { constants, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { DeadLetter, defineHandler, MissingPackageError } from "millrace";
import { thumbnail } from "../producers/jobs/thumbnail.ts";

export default defineHandler(thumbnail, {
  threads: { module: import.meta.url },
  async handle({ source, target, width, height }, task) {
    const sharp = await loadSharp();
    const original = await readSource(source);
    task.signal.throwIfAborted();
    // Within a promise, since sharp throws at once where a file is empty.
    const resize = async () =>
      await sharp(original).rotate().resize({ width, height, fit: "inside", withoutEnlargement: true }).toFormat(formatOf(target)).toBuffer({ resolveWithObject: true });
    const { data, info } = await resize().catch((error: Error) => {
      throw new DeadLetter(`not a picture that can be read: ${error.message}`);
    });
    task.signal.throwIfAborted();
    await writeWhole(target, data, task.id);
    return { width: info.width, height: info.height, bytes: data.length };
  },
});

/** A picture is read as a whole, and by as many threads as there are cores. */
const mostBytes = 256 * 1024 * 1024;

/** What no further attempt mends: the source is not there, may not be read, or is nothing to read. */
const lasting = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ENXIO"]);

/** With the first job and not with the module, so that a worker of other handlers runs without it. An ordinary error: an operator can mend it while attempts last. */
async function loadSharp() {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new MissingPackageError("sharp", "the worker of thumbnail", { cause: error });
  }
}

/** @throws DeadLetter for what stays unreadable, an ordinary error for what may pass */
async function readSource(path: string): Promise<Buffer> {
  try {
    // Non-blocking, or a pipe that nobody writes to would hold a thread of Node's for ever.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile()) throw new DeadLetter(`expected a picture, but ${path} is no regular file`);
    if (found.size > mostBytes) throw new DeadLetter(`expected a picture of at most ${mostBytes} bytes, but ${path} has ${found.size}`);
    return await file.readFile();
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
