import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { connect } from "millrace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { thumbnail } from "../../producers/jobs/thumbnail.ts";
import produceThumbnails from "../../producers/thumbnails.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let dir: string;
let said: string[];
const context = { signal: new AbortController().signal, log: { info: (text: string) => void said.push(text), warn: (text: string) => void said.push(text) } };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "thumbnails-"));
  said = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function files(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), name);
  }
}

test("puts one job a picture, with the sizes asked for, and none for other files or its own thumbnails", async () => {
  await files("a.jpg", "below/b.PNG", "notes.txt", "small/c.jpg.webp");
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  await produceThumbnails(app, [dir, join(dir, "small"), "--width", "64", "--format", "webp"], context);
  expect(said).toEqual(["2 put, 0 there already, 2 passed over"]);
  const payloads = [];
  for await (const delivery of app.queue(thumbnail).deliveries()) {
    payloads.push(delivery.payload);
    await delivery.ack({ width: 1, height: 1, bytes: 1 });
    if (payloads.length === 2) break;
  }
  expect(payloads.toSorted((a, b) => a.source.localeCompare(b.source))).toEqual([
    { source: join(dir, "a.jpg"), target: join(dir, "small/a.jpg.webp"), width: 64, height: 320 },
    { source: join(dir, "below/b.PNG"), target: join(dir, "small/below/b.PNG.webp"), width: 64, height: 320 },
  ]);
});

test("passes over pictures whose thumbnail is newer", async () => {
  await files("from/old.jpg", "from/new.jpg", "to/old.jpg.jpg", "to/new.jpg.jpg");
  await utimes(join(dir, "from/old.jpg"), 1000, 1000);
  await utimes(join(dir, "to/new.jpg.jpg"), 1000, 1000);
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  await produceThumbnails(app, [join(dir, "from"), join(dir, "to")], context);
  expect(said).toEqual(["1 put, 1 there already, 0 passed over"]);
});

test("refuses what it does not understand before anything is put", async () => {
  await files("a.jpg");
  await using app = connect({ redis: redisUrl(), prefix: freshPrefix() });
  for (const args of [[], [dir], [dir, dir, dir], [dir, dir, "--format", "gif"], [dir, dir, "--depth", "3"]]) {
    await expect(produceThumbnails(app, args, context)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  }
  await expect(produceThumbnails(app, [dir, join(dir, "to"), "--width", "wide"], context)).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
  await expect(produceThumbnails(app, [join(dir, "none"), dir], context)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect((await app.queue(thumbnail).counts()).waiting).toBe(0);
});
