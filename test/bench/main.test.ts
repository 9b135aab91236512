/** The benchmark itself: that it runs both sides, checks what they did, and shows what it found. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findServer } from "../../src/redis/server.ts";

const main = new URL("main.ts", import.meta.url).pathname;

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["--conditions=millrace-source", main, ...args], { encoding: "utf8" });
}

test("compares both sides and prints a table", { timeout: 120_000 }, async ({ skip }) => {
  if ((await findServer()) === undefined) skip("no redis-server or valkey-server here to measure on");
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-test-"));
  try {
    const json = join(dir, "bench.json");
    const { status, stdout, stderr } = bench("--quick", "--json", json, "put-many", "consume-100");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const row = /^\| (put-many|consume-100) \| (rate|producer CPU|worker CPU|Redis CPU), /;
    expect(stdout.split("\n").filter((line) => row.test(line))).toHaveLength(6);
    const { rows } = JSON.parse(readFileSync(json, "utf8")) as { rows: Record<"stock" | "millrace" | "ratio", { median: number }>[] };
    expect(rows).toHaveLength(6);
    for (const { stock, millrace, ratio } of rows) expect(ratio.median).toBeCloseTo(millrace.median / stock.median);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("says how it is used when it is asked for what it does not know", () => {
  for (const args of [["sprint"], ["--rounds", "0"], ["--fast"], ["profile"], ["profile", "latency"]]) {
    expect(bench(...args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("npm run bench -- [MEASURE...]") });
  }
});
