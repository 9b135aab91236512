import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("prints the delays of all four ways", { timeout: 120_000 }, () => {
  const args = ["--conditions=millrace-source", new URL("main.ts", import.meta.url).pathname, "thumbnail", "--quick"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.split("\n").filter((line) => /^\| (sharp|JavaScript), (inline|in threads)( \| \d+\.\d \(\d+\.\d-\d+\.\d\)){4} \|$/.test(line))).toHaveLength(4);
});
