import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const faults = (...args: string[]) =>
  promisify(execFile)(process.execPath, ["-C", "millrace-source", main, ...args], { env: { ...process.env, DOCKER_HOST: "unix:///nowhere/docker.sock" } }).then(
    () => ({ code: 0, stderr: "" }),
    ({ code, stderr }: { readonly code: number; readonly stderr: string }) => ({ code, stderr }),
  );

test.each([
  [["F99"], "expected rows, got F99"],
  [["--phases", "0"], "expected a whole number of phases from 1, got 0"],
  [["--seed", "x"], "expected a whole number as the seed, got x"],
  [["--subject", "celery"], "expected millrace or bullmq as the subject, got celery"],
  [["--phase", "1"], "Unknown option '--phase'"],
  [["--merge", "/nowhere"], "expected /nowhere/faults-millrace.json, as --subject millrace --report /nowhere writes it, got: ENOENT"],
  [["--containers"], "servers in containers need a Docker engine"],
])("refuses %j", async (args, message) => {
  expect(await faults(...args)).toEqual({ code: 2, stderr: expect.stringContaining(message) });
});
