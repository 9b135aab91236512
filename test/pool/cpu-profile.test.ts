import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { profileCpu } from "../../src/pool/cpu-profile.ts";
import { failure, takes } from "../support/outcome.ts";

function digestForever(until: number): void {
  while (performance.now() < until) JSON.stringify({ n: Math.random() });
}

test("shows what took the time, as a .cpuprofile", async () => {
  const { signal } = new AbortController();
  const profiling = profileCpu(0.3, signal);
  await new Promise((resolve) => setTimeout(resolve, 20));
  digestForever(performance.now() + 200);
  const profile = JSON.parse(gunzipSync(Buffer.from(await profiling, "base64")).toString()) as { nodes: { callFrame: { functionName: string } }[]; samples: number[]; timeDeltas: number[] };
  expect(profile.nodes.map(({ callFrame }) => callFrame.functionName)).toContain("digestForever");
  expect(profile.samples).toHaveLength(profile.timeDeltas.length);
});

test("refuses a second one at a time, takes another after that, and ends early when its signal fires", async () => {
  const ended = new AbortController();
  const first = profileCpu(60, ended.signal);
  expect((await failure(profileCpu(1, ended.signal))).error).toMatchObject({ code: "STATE_INVALID" });
  ended.abort();
  expect(await takes(first)).toBeLessThan(5000);
  await profileCpu(0.1, new AbortController().signal);
});
