import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { instant } from "../../src/concurrency/thread-clock.ts";

test("threads that started at different times read the same", async () => {
  const address = JSON.stringify(new URL("../../src/concurrency/thread-clock.ts", import.meta.url).href);
  const source = `import(${address}).then(({ instant }) => require("node:worker_threads").parentPort.postMessage(instant()))`;
  const before = instant();
  const there = await new Promise<number>((resolve) => new Worker(source, { eval: true }).once("message", resolve));
  expect(there).toBeGreaterThan(before);
  expect(there).toBeLessThan(instant());
});
