/** What `putMany` holds in memory, measured from outside. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { defineJob, typed } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { startRedis } from "../support/redis.ts";

const run = promisify(execFile);
/** So small that garbage does not pile up, and what is held for good does not fit. */
const heap = ["--max-old-space-size=32", "--max-semi-space-size=2"];
const program = fileURLToPath(new URL("many-producer.ts", import.meta.url));

async function putMany(prefix: string, url: string, env: Readonly<Record<string, string>>) {
  const { stdout } = await run(process.execPath, [...heap, "-C", "millrace-source", program], { env: { ...process.env, REDIS_URL: url, PREFIX: prefix, ...env } });
  return JSON.parse(stdout) as { readonly added: number; readonly grewMiB: number; readonly rssMiB: number };
}

test("puts 200,000 items of an async iterable in constant memory", async () => {
  const { url } = await startRedis({ appendonly: "no" });
  const { added, grewMiB } = await putMany("bull", url, { COUNT: "200000" });
  expect(added).toBe(200_000);
  expect(grewMiB).toBeLessThan(30);
}, 60_000);

test("puts into partitions in constant memory", async () => {
  const { url } = await startRedis({ appendonly: "no" });
  const { added, grewMiB } = await putMany("bull", url, { COUNT: "100000", PARTITIONS: "8" });
  expect(added).toBe(100_000);
  expect(grewMiB).toBeLessThan(30);
}, 60_000);

test("holds few large payloads at a time", async () => {
  const { url } = await startRedis({ appendonly: "no" });
  const { added, rssMiB } = await putMany("bull", url, { COUNT: "150", PAYLOAD_BYTES: "1000000" });
  expect(added).toBe(150);
  expect(rssMiB).toBeLessThan(200);
}, 60_000);

test("a put that fails while the source waits ends putMany, and is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  const redis = await startRedis({ maxmemory: "3mb" });
  const app = testApp({ redis: redis.url, prefix: "bull" });
  const job = defineJob("many", { payload: typed<string>() });
  const text = "x".repeat(500_000);
  let asked = 0;
  async function* slow(): AsyncGenerator<string> {
    for (; asked < 1000; asked += 1) {
      yield text;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  await expect(app.queue(job).putMany(slow())).rejects.toMatchObject({ code: "BACKEND_FULL" });
  expect(asked).toBeLessThan(100);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});
