import { expect, test } from "vitest";
import { threadEntry } from "../../src/concurrency/thread-entry.ts";

test("an entry is TypeScript where its neighbour is, and compiled where that is", () => {
  expect(threadEntry("file:///app/src/offload.ts", "offload-thread")).toBe("/app/src/offload-thread.ts");
  expect(threadEntry("file:///app/dist/offload.js", "offload-thread")).toBe("/app/dist/offload-thread.js");
});
