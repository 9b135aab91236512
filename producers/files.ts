/**
 * Puts one `digest` job for each file of a directory tree: `millrace produce files DIR`, and the producers of the demo.
 *
 * A job's id is made of the file's path and version, so that what was digested and has not changed is not put again.
 */

import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import type { BigIntStats, Dir, Dirent } from "node:fs";
import { lstat, opendir, realpath, stat } from "node:fs/promises";
import { sep } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { type App, type JobHandle, NotFoundError, OptionError, type Queue } from "millrace";
import { range, taskGroup } from "millrace/concurrency";
import { digest } from "./jobs/digest.ts";

/** What the walk finds, files and whatever else is not a directory; names are bytes, since a file system knows no encoding. */
export interface FoundFile {
  /** Below the root of the tree. */
  readonly path: Buffer;
  /** Differs as soon as the file does. */
  readonly jobId: string;
  /** Device and inode of what it holds: the same for two names (links) of one content. */
  readonly inode: string;
}

/** A directory that could not be listed, or a name that was gone before it could be looked at. */
export interface NotFound {
  readonly path: Buffer;
  readonly error: string;
}

export interface Tree extends AsyncDisposable {
  /** Absolute, without links. */
  readonly root: Buffer;
  /** One walk, whoever and however many read it: each entry comes once, and a reader that leaves does not end it for others. */
  readonly entries: AsyncIterable<FoundFile | NotFound>;
}

type DigestQueue = Queue<NonNullable<(typeof digest)["types"]>>;

export interface Reporter {
  /** @param known  the job was there already: done, or on its way */
  file(file: FoundFile, job: { readonly id: string; readonly known: boolean }): void;
  notFound(entry: NotFound): void;
}

export interface FilesContext {
  readonly signal: AbortSignal;
  readonly log: { info(message: string): void; warn(message: string): void };
}

/** `millrace produce files DIR` */
export default async function produceFiles(app: App, args: readonly string[], context: FilesContext): Promise<void> {
  const [dir, ...rest] = args;
  if (dir === undefined || rest.length > 0) throw new OptionError(`expected one directory, got ${args.length} arguments: produce files DIR`);
  await using tree = await openTree(dir);
  const count = { put: 0, known: 0, notFound: 0 };
  await putFiles(app.queue(digest), tree, {
    signal: context.signal,
    report: {
      file: (_, { known }) => void count[known ? "known" : "put"]++,
      notFound(entry) {
        count.notFound++;
        context.log.warn(`${entry.path.toString()}: ${entry.error}`);
      },
    },
  });
  context.log.info(`${count.put} put, ${count.known} there already, ${count.notFound} not found`);
  context.signal.throwIfAborted();
}

/**
 * Reads a tree and puts the job of every file. Several may run on one tree: that is what the demo's three producers do.
 * Ends early, without an error, when the signal fires: what was put is put.
 *
 * @param inFlight  puts under way at once; they share round trips
 */
export async function putFiles(queue: DigestQueue, tree: Tree, options: { readonly report: Reporter; readonly signal: AbortSignal; readonly inFlight?: number }): Promise<void> {
  const { report, signal, inFlight = 200 } = options;
  try {
    await taskGroup(async (group) => {
      for (const _ of range(inFlight)) group.spawn(lane);
    });
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }

  async function lane(groupSignal: AbortSignal): Promise<void> {
    for await (const entry of tree.entries) {
      if (signal.aborted || groupSignal.aborted) return;
      if ("error" in entry) report.notFound(entry);
      else report.file(entry, await putFile(queue, tree.root, entry));
    }
  }
}

/**
 * Puts the job of one file, unless it is there already.
 *
 * One that failed or was cancelled, in an earlier run, is no answer to this one: what was in the way may be gone. It stays
 * under its id for the operator, and the file is tried again under that id's next generation: `<id>.2`, `<id>.3`.
 */
export async function putFile(queue: DigestQueue, root: Buffer, file: Pick<FoundFile, "path" | "jobId">): Promise<{ readonly id: string; readonly known: boolean }> {
  const payload = payloadOf(joined(root, file.path));
  for (let generation = 1; ; generation++) {
    const id = generation === 1 ? file.jobId : `${file.jobId}.${generation}`;
    const handle = await queue.put(payload, { id });
    if (handle.added) return { id, known: false };
    if (!(await isSpent(handle))) return { id, known: true };
  }
}

async function isSpent(handle: Pick<JobHandle, "state">): Promise<boolean> {
  const state = await handle.state();
  return state === "failed" || state === "cancelled";
}

export function payloadOf(path: Buffer): { path: string; pathBase64?: string } {
  return isUtf8(path) ? { path: path.toString() } : { path: path.toString(), pathBase64: path.toString("base64") };
}

/** @throws NotFoundError when there is no `dir`, OptionError when it is not a directory that can be listed */
export async function openTree(dir: string): Promise<Tree> {
  let root: Buffer;
  let first: Directory;
  try {
    root = await realpath(dir, "buffer");
    first = await openDirectory(root, nothing);
  } catch (error) {
    const Cause = (error as NodeJS.ErrnoException).code === "ENOENT" ? NotFoundError : OptionError;
    throw new Cause(`expected a directory, got ${JSON.stringify(dir)}: ${reasonOf(error)}`, { cause: error });
  }
  const walk = walkFrom(root, first);
  return {
    root,
    entries: { [Symbol.asyncIterator]: () => ({ next: () => walk.next() }) },
    async [Symbol.asyncDispose]() {
      await walk.return();
      await first.dir.close().catch(() => {}); // closed already, unless nobody ever read
    },
  };
}

interface Directory {
  readonly dir: Dir;
  /** Below the root. */
  readonly path: Buffer;
  /** Directories found in it and not walked yet. */
  readonly below: Buffer[];
}

/** Names read, and files looked at, at once. */
const batchSize = 64;
const nothing = Buffer.alloc(0);
const separator = Buffer.from(sep);

/**
 * Depth first: memory grows with the depth of the tree and not with its size. Links to directories are not followed, so
 * there is no way round in a circle; links to files are, since they can be read.
 */
async function* walkFrom(root: Buffer, first: Directory): AsyncGenerator<FoundFile | NotFound, void> {
  const opened = [first];
  try {
    for (let here = opened.at(-1); here !== undefined; here = opened.at(-1)) {
      const path = here.below.pop();
      if (path !== undefined) {
        try {
          opened.push(await openDirectory(root, path));
        } catch (error) {
          yield { path, error: reasonOf(error) };
        }
        continue;
      }
      const { files, ended } = await readBatch(here);
      for (const found of await Promise.all(files.map((file) => look(root, file)))) if (found !== undefined) yield found;
      if (ended && here.below.length === 0) await opened.pop()?.dir.close();
    }
  } finally {
    await Promise.all(opened.map(({ dir }) => dir.close()));
  }
}

async function openDirectory(root: Buffer, path: Buffer): Promise<Directory> {
  // Node takes "buffer" here as everywhere; only its types do not know.
  return { dir: await opendir(joined(root, path), { encoding: "buffer" as BufferEncoding, bufferSize: batchSize }), path, below: [] };
}

async function readBatch({ dir, path, below }: Directory): Promise<{ files: Buffer[]; ended: boolean }> {
  const files: Buffer[] = [];
  for (let read = 0; read < batchSize; read++) {
    const entry = (await dir.read()) as Dirent<Buffer> | null;
    if (entry === null) return { files, ended: true };
    (entry.isDirectory() ? below : files).push(joined(path, entry.name));
  }
  return { files, ended: false };
}

/** Undefined for a link to a directory. */
async function look(root: Buffer, path: Buffer): Promise<FoundFile | NotFound | undefined> {
  const name = joined(root, path);
  try {
    const own = await lstat(name, { bigint: true });
    // A link that leads nowhere is found as itself: whoever reads it will say what is wrong.
    const target = own.isSymbolicLink() ? await stat(name, { bigint: true }).catch(() => undefined) : undefined;
    if (target?.isDirectory() === true) return undefined;
    const held = target ?? own;
    return { path, jobId: jobIdOf(name, [own, held]), inode: `${held.dev}:${held.ino}` };
  } catch (error) {
    return { path, error: reasonOf(error) };
  }
}

/** How far apart two changes must be to be told apart by their times, on the coarsest clock of a Linux kernel, doubled. */
const coarseMs = 20n;

/**
 * The device is left out, since its number may change when the machine starts again. A file that changed just now may
 * change again without its times showing it (git calls that "racily clean"): such an id is good for this once.
 */
function jobIdOf(name: Buffer, versions: readonly BigIntStats[]): string {
  const now = BigInt(Date.now());
  const version = versions.map(({ ino, size, mtimeNs, ctimeNs }) => `${ino}:${size}:${mtimeNs}:${ctimeNs}`);
  if (versions.some(({ ctimeMs }) => ctimeMs > now - coarseMs && ctimeMs < now + coarseMs)) version.push(`${now}`);
  return hash("sha256", Buffer.concat([name, Buffer.from(`\0${version.join()}`)]), "base64url").slice(0, 22);
}

/** The root itself is the empty path below it. */
function joined(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 0 || name.length === 0) return directory.length === 0 ? name : directory;
  return directory.at(-1) === separator[0] ? Buffer.concat([directory, name]) : Buffer.concat([directory, separator, name]);
}

/** Without the file's name, so that reasons can be counted. */
function reasonOf(error: unknown): string {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  return code === undefined || errno === undefined ? message : `${code}: ${getSystemErrorMessage(errno)}`;
}
