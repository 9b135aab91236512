import { expect, test } from "vitest";
import { noteRedactions, readRedaction } from "../../src/store/redactions.ts";
import { openQueue } from "./opened-queue.ts";

test("is noted once, by a name that may hold anything, and tried again after it failed", async () => {
  const queue = await openQueue();
  const broken = { ...queue, client: { hset: () => Promise.reject(new Error("Connection is closed.")) } } as unknown as typeof queue;
  await expect(noteRedactions(broken, [{ name: "a:b c", redact: ["x"] }])).rejects.toThrow();
  await noteRedactions(queue, [{ name: "a:b c", redact: ["body", "to.email"] }, { name: "plain", redact: [] }]);
  expect(await readRedaction(queue, "a:b c")).toEqual(["body", "to.email"]);
  expect(await readRedaction(queue, "plain")).toEqual([]);
  await queue.client.hdel(queue.keys.meta, "millrace.redact:a:b c");
  await noteRedactions(queue, [{ name: "a:b c", redact: ["body"] }]);
  expect(await readRedaction(queue, "a:b c")).toEqual([]);
});
