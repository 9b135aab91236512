import { readFileSync, rmSync } from "node:fs";
import type { Profiler, Runtime } from "node:inspector";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { costsOf, startProfile } from "./profiler.ts";

const frame = (functionName: string, url: string, lineNumber: number): Runtime.CallFrame => ({ functionName, url, lineNumber, columnNumber: 0, scriptId: "1" });

test("adds up a function's self time over its places in the tree, and sets the idle time apart", () => {
  const nodes = [
    { id: 1, callFrame: frame("work", "file:///app/node_modules/lib/work.js", 6) },
    { id: 2, callFrame: frame("", new URL("../../src/a.ts", import.meta.url).href, 0) },
    { id: 3, callFrame: frame("work", "file:///app/node_modules/lib/work.js", 6) },
    { id: 4, callFrame: frame("(idle)", "", -1) },
  ];
  const { costs, idle } = costsOf({ nodes, startTime: 0, endTime: 1000, samples: [1, 2, 3, 4], timeDeltas: [300, 100, 100, 500] });
  expect(costs).toEqual([
    { name: "work", where: "lib/work.js:7", share: 0.8 },
    { name: "(anonymous)", where: "src/a.ts:1", share: 0.2 },
  ]);
  expect(idle).toBe(0.5);
});

test("a profile names what computed while it was on", () => {
  const path = join(tmpdir(), `millrace-bench-${process.pid}.cpuprofile`);
  const end = startProfile(path);
  for (const until = performance.now() + 50; performance.now() < until; ) spin();
  end();
  const profile = JSON.parse(readFileSync(path, "utf8")) as Profiler.Profile;
  rmSync(path);
  expect(costsOf(profile).costs.slice(0, 5).map(({ name }) => name)).toContain("spin");
});

function spin(): number {
  let sum = 0;
  for (let n = 0; n < 100_000; n += 1) sum += Math.sqrt(n);
  return sum;
}
