/**
 * Puts one `thumbnail` job for each picture of a folder and those below it:
 * `millrace produce thumbnails FROM TO [--width N] [--height N] [--format jpg|png|webp|avif]`
 *
 * As `make` does, it passes over pictures whose thumbnail is there and newer than they are. TO may lie inside FROM.
 */

import { isUtf8 } from "node:buffer";
import { stat } from "node:fs/promises";
import { extname, join, resolve, sep } from "node:path";
import { parseArgs } from "node:util";
import { type App, OptionError } from "millrace";
import { range, taskGroup } from "millrace/concurrency";
import { openTree } from "./files.ts";
import { thumbnail, thumbnailEndings } from "./jobs/thumbnail.ts";

export interface ThumbnailsContext {
  readonly signal: AbortSignal;
  readonly log: { info(message: string): void; warn(message: string): void };
}

/** What is taken for a picture, by its name: to look into every file would cost as much as to resize it. */
const pictureEndings = new Set([".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".svg"]);

/** Puts on their way at once; they share round trips. */
const inFlight = 50;

/** @throws OptionError, NotFoundError when there is no FROM, before anything is put; PayloadError for a size that is none */
export default async function produceThumbnails(app: App, args: readonly string[], context: ThumbnailsContext): Promise<void> {
  const { from, to, format, size } = optionsOf(args);
  const queue = app.queue(thumbnail);
  await using tree = await openTree(from);
  const root = tree.root.toString();
  const count = { put: 0, known: 0, passedOver: 0 };

  const lane = async (groupSignal: AbortSignal): Promise<void> => {
    for await (const entry of tree.entries) {
      if (context.signal.aborted || groupSignal.aborted) return;
      const path = entry.path.toString();
      if ("error" in entry) context.log.warn(`${path}: ${entry.error}`);
      else if (!isUtf8(entry.path)) context.log.warn(`${path}: passed over, its name is not valid UTF-8`);
      else await consider(path);
    }
  };
  const consider = async (path: string): Promise<void> => {
    const source = join(root, path);
    if (!pictureEndings.has(extname(path).toLowerCase()) || source.startsWith(to + sep)) return void count.passedOver++;
    const target = join(to, `${path}.${format}`); // the whole name: a.png and a.jpg are two pictures
    if (await isNewer(target, source)) return void count.known++;
    await queue.put({ source, target, ...size });
    count.put++;
  };

  try {
    await taskGroup(async (group) => {
      for (const _ of range(inFlight)) group.spawn(lane);
    });
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
  context.log.info(`${count.put} put, ${count.known} there already, ${count.passedOver} passed over`);
  context.signal.throwIfAborted();
}

function optionsOf(args: readonly string[]): { from: string; to: string; format: string; size: { width?: number; height?: number } } {
  const options = { width: { type: "string" }, height: { type: "string" }, format: { type: "string", default: "jpg" } } as const;
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args: [...args], options, allowPositionals: true });
    } catch (error) {
      throw new OptionError(`${(error as Error).message}; produce thumbnails takes FROM, TO, --width, --height and --format`, { cause: error });
    }
  })();
  const [from, to, ...rest] = positionals;
  if (from === undefined || to === undefined || rest.length > 0) throw new OptionError(`expected two folders, got ${positionals.length} arguments: produce thumbnails FROM TO`);
  const { width, height, format } = values;
  if (!(thumbnailEndings as readonly string[]).includes(format)) throw new OptionError(`expected ${thumbnailEndings.join(", ")} for --format, got ${JSON.stringify(format)}`);
  const size = { ...(width !== undefined && { width: Number(width) }), ...(height !== undefined && { height: Number(height) }) };
  return { from, to: resolve(to), format, size };
}

async function isNewer(target: string, source: string): Promise<boolean> {
  const [made, taken] = await Promise.all([target, source].map((path) => stat(path).then(({ mtimeMs }) => mtimeMs, () => undefined)));
  return made !== undefined && taken !== undefined && made >= taken;
}
