import { expect, test } from "vitest";
import { offload } from "../../src/concurrency/offload.ts";
import { transfer } from "../../src/concurrency/transfer.ts";
import type { bytes, left } from "./offloaded.ts";

const module = new URL("./offloaded.ts", import.meta.url);

test("what a function hands over is not copied, and is gone from the thread", async () => {
  const give = (how: "copied" | "handed over") => offload<{ bytes: typeof bytes }, "bytes">(module, "bytes", [1000, how]);
  for (const given of [await give("copied"), await give("handed over")]) expect(given).toEqual(new Uint8Array(1000).fill(7));
  // One after the other, they were all calls of the same thread.
  expect(await offload<{ left: typeof left }, "left">(module, "left", [])).toEqual([1000, 0]);
});

test("without a thread it gives the value as it is", () => {
  const value = new Uint8Array(8);
  expect(transfer(value, [value.buffer])).toBe(value);
  expect(value.byteLength).toBe(8);
});
