/** The demo's manifest: one line of JSON a file, written whole or not at all. */
import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { OptionError } from "../errors.ts";

/** What was found of a file, or why nothing was. */
export type Finding = { readonly bytes: number; readonly sha256: string; readonly lines: number; readonly mime: string } | { readonly error: string };

/**
 * One line. A name that is not valid UTF-8 shows U+FFFD in `path` and has its bytes in `pathBase64`.
 *
 * @param path  below the root of the tree
 */
export function manifestLine(path: Buffer, finding: Finding): string {
  const names = isUtf8(path) ? { path: path.toString() } : { path: path.toString(), pathBase64: path.toString("base64") };
  return `${JSON.stringify({ ...names, ...finding })}\n`;
}

/** Text gathered before it is written. */
const pieceLength = 64 * 1024;

/**
 * Writes lines beside `path`, then puts them in its place: a reader finds the old file or the new one, never half of it.
 * What is not a regular file (`/dev/stdout`, a named pipe) is written to as it stands.
 *
 * @throws Error with the system's code when it cannot be written; what was there before is still there
 */
export async function writeManifest(path: string, lines: Iterable<string>): Promise<void> {
  try {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && !found.isFile()) return await writeTo(path, lines, "w");
    // A link stays one: what it leads to is replaced.
    const target = found === undefined ? path : await realpath(path);
    const draft = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}`);
    try {
      await writeTo(draft, lines, "wx", found?.mode);
      await rename(draft, target);
    } finally {
      await rm(draft, { force: true });
    }
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    const remedy = "what was digested is kept for a day, so the same command with room for the file, or another --manifest, is done at once";
    throw Object.assign(new Error(`the manifest ${path} could not be written: ${message}; ${remedy}`, { cause: error }), { code, syscall });
  }
}

async function writeTo(path: string, lines: Iterable<string>, flags: "w" | "wx", mode?: number): Promise<void> {
  await using file = await open(path, flags, mode);
  let piece = "";
  for (const line of lines) {
    piece += line;
    if (piece.length < pieceLength) continue;
    await file.write(piece);
    piece = "";
  }
  await file.write(piece);
  // A rename may reach the disk before the content does; a pipe knows no sync.
  if (flags === "wx") await file.sync();
}

/**
 * Whether a manifest could be written there: better known before the work than behind it.
 *
 * @throws OptionError when it could not
 */
export async function checkManifest(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) throw new OptionError(`expected a file for the manifest, got the directory ${path}`);
  try {
    // The dot finds out whether it is a directory.
    await access(found === undefined || found.isFile() ? `${dirname(path)}/.` : path, constants.W_OK);
  } catch (error) {
    throw new OptionError(`expected a place for the manifest, got ${path}: ${(error as Error).message}`, { cause: error });
  }
}
