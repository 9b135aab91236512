/** The benchmark itself: that it runs all sides, checks what they did, and shows what it found. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import type { Row } from "./report.ts";

const main = new URL("main.ts", import.meta.url).pathname;

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["--conditions=millrace-source", main, ...args], { encoding: "utf8" });
}

test("compares every subject that can be here, checks what it did, and prints a table", { timeout: 120_000 }, async ({ skip }) => {
  if ((await findServer()) === undefined) skip("no redis-server or valkey-server here to measure on");
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-test-"));
  try {
    const json = join(dir, "bench.json");
    const { status, stdout, stderr } = bench("--quick", "--json", json, "consume-100", "start");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const { rows } = JSON.parse(readFileSync(json, "utf8")) as { rows: Row[] };
    const peers = stderr.includes("no PostgreSQL here") ? ["bee-queue"] : ["bee-queue", "pg-boss", "graphile-worker"];
    const beside = (quantity: string) => rows.filter((row) => row.quantity === quantity).map(({ against }) => against?.label);
    expect(beside("rate, jobs/s")).toEqual(["BullMQ", ...peers, "Redis Streams"]);
    expect(beside("worker CPU, us/job")).toEqual(["BullMQ"]);
    for (const { figure, against, goal, met } of rows) {
      expect(figure.median).toBeGreaterThan(0);
      if (against !== undefined) expect(against.ratio.median).toBeCloseTo(figure.median / against.figure.median);
      expect(typeof met).toBe(goal === undefined ? "undefined" : "boolean");
    }
    expect(stdout.split("\n").filter((line) => /^\| (consume, 100 slots|start of a worker process, the built package) \| /.test(line))).toHaveLength(rows.length);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("says how it is used when it is asked for what it does not know", () => {
  for (const args of [["sprint"], ["--rounds", "0"], ["--fast"], ["profile"], ["profile", "latency"]]) {
    expect(bench(...args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("npm run bench -- [MEASURE...]") });
  }
});
