/**
 * Runs `digest`: reads a file once, in pieces, and says how long it is, its SHA-256, its lines and its type.
 *
 * What no further attempt can read (missing, not permitted, not a regular file) is a dead letter whose reason does not
 * name the file, so that reasons can be counted: `EACCES: permission denied`, `FIFO: not a regular file`.
 */

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, open as openWithCallback, read as readWithCallback, type Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { getSystemErrorMessage, promisify } from "node:util";
import { fileTypeFromBuffer } from "file-type";
import { DeadLetter, defineHandler } from "millrace";
import { type Digest, digest } from "../producers/jobs/digest.ts";

export default defineHandler(digest, { handle: digestFile });

// Descriptors and not FileHandles: what an open file can be asked without waiting (what it is, to close) is asked at once,
// for a trip to the thread pool costs more than the digest of a small file.
const open = promisify(openWithCallback);
const read = promisify(readWithCallback);

const chunkBytes = 128 * 1024;
/** Memory of readings that have ended, for those to come: a new buffer a file would be garbage faster than it is collected. */
const idleChunks: Buffer[] = [];
/** As much as `file-type` asks for. */
const headBytes = 4100;
const newline = 0x0a;

/**
 * @param file  `pathBase64`, where given, is the name; `path` is for people then
 * @param task  its signal is heeded between two pieces
 * @throws DeadLetter for what stays unreadable, an ordinary error for what may pass (`EMFILE`, `EIO`)
 */
export async function digestFile(
  file: { readonly path: string; readonly pathBase64?: string | undefined },
  task: { readonly signal: AbortSignal },
): Promise<Digest> {
  const name = file.pathBase64 === undefined ? file.path : Buffer.from(file.pathBase64, "base64");
  try {
    // Opening a FIFO waits for its writer, and opening a device may do things: look first.
    refuseAllButRegular(await stat(name));
    // It may have been replaced since. A FIFO opened without blocking does not wait.
    const file = await open(name, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const found = fstatSync(file);
      refuseAllButRegular(found);
      return await digestOf(pieces(file, found.size, task.signal));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw await reasonFor(error, name);
  }
}

/** The digest of bytes that come in pieces; where they are cut makes no difference. */
export async function digestOf(pieces: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Digest> {
  const hash = createHash("sha256");
  const text = new TextCheck();
  let head: Buffer = Buffer.alloc(0);
  let bytes = 0;
  let lines = 0;
  for await (const piece of pieces) {
    hash.update(piece);
    if (head.length < headBytes) head = Buffer.concat([head, piece.subarray(0, headBytes - head.length)]);
    text.add(piece);
    for (let at = piece.indexOf(newline); at !== -1; at = piece.indexOf(newline, at + 1)) lines++;
    bytes += piece.length;
  }
  const mime = bytes === 0 ? "inode/x-empty" : ((await signature(head)) ?? text.mime());
  return { bytes, sha256: hash.digest("hex"), lines, mime };
}

/** Yields the same memory again and again: who wants to keep a piece copies it. */
async function* pieces(file: number, size: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const chunk = idleChunks.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  try {
    let total = 0;
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await read(file, chunk, 0, chunkBytes, null);
      if (bytesRead === 0) return;
      total += bytesRead;
      yield chunk.subarray(0, bytesRead);
      // A short read alone says nothing: /proc gives a page at a time and claims to be empty.
      if (bytesRead < chunkBytes && total === size) return;
    }
  } finally {
    idleChunks.push(chunk);
  }
}

async function signature(head: Buffer): Promise<string | undefined> {
  try {
    return (await fileTypeFromBuffer(head))?.mime;
  } catch {
    return undefined; // The bytes of a format, cut off or broken.
  }
}

/** Text is valid UTF-8 without a NUL. */
class TextCheck {
  #valid = true;
  /** A character that the last piece began and did not end. */
  #begun: Buffer = Buffer.alloc(0);

  add(piece: Buffer): void {
    if (!this.#valid) return;
    const joined = this.#begun.length === 0 ? piece : Buffer.concat([this.#begun, piece]);
    const end = joined.length - begunBytes(joined);
    this.#valid = !piece.includes(0) && isUtf8(joined.subarray(0, end));
    this.#begun = Buffer.from(joined.subarray(end));
  }

  mime(): "text/plain" | "application/octet-stream" {
    return this.#valid && this.#begun.length === 0 ? "text/plain" : "application/octet-stream";
  }
}

/** How many bytes at the end begin a UTF-8 character that is not complete: 0 to 3. */
function begunBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue; // a continuation: its first byte is further back
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

function refuseAllButRegular(found: Stats): void {
  if (found.isDirectory()) throw new DeadLetter("EISDIR: is a directory");
  if (!found.isFile()) throw new DeadLetter(`${kindOf(found)}: not a regular file`);
}

function kindOf(found: Stats): string {
  if (found.isFIFO()) return "FIFO";
  if (found.isSocket()) return "socket";
  if (found.isBlockDevice()) return "block device";
  return found.isCharacterDevice() ? "character device" : "unknown kind";
}

/** What no further attempt mends. The rest (too many open files, a failing disk, a server away) may pass. */
const lasting = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENXIO", "ENODEV", "EOVERFLOW"]);

async function reasonFor(error: unknown, name: string | Buffer): Promise<unknown> {
  if (!isSystemError(error)) return error;
  if (error.code === "ENOENT" && (await isLink(name))) return new DeadLetter("ENOENT: dangling link");
  const reason = `${error.code}: ${getSystemErrorMessage(error.errno)}`;
  return lasting.has(error.code) ? new DeadLetter(reason) : new Error(reason, { cause: error });
}

function isSystemError(error: unknown): error is Error & { code: string; errno: number } {
  return error instanceof Error && "errno" in error && typeof error.errno === "number" && "code" in error;
}

async function isLink(name: string | Buffer): Promise<boolean> {
  return lstat(name).then((found) => found.isSymbolicLink(), () => false);
}
