import { expect, test } from "vitest";
import { checkId } from "../../src/job/name.ts";
import { newJobId } from "../../src/queue/job-id.ts";

test("ids are UUIDv7 in 22 characters that the caller's own ids may have too", () => {
  const before = Date.now();
  const id = newJobId();
  const bytes = Buffer.from(id, "base64url");
  expect(id).toMatch(/^[\w-]{22}$/);
  expect(bytes).toHaveLength(16);
  expect([bytes[6]! >> 4, bytes[8]! >> 6]).toEqual([7, 0b10]);
  const madeAt = bytes.readUIntBE(0, 6);
  expect(madeAt).toBeGreaterThanOrEqual(before);
  expect(madeAt).toBeLessThanOrEqual(Date.now());
  expect(checkId(id)).toBe(id);
});

test("no two are the same, however fast they are made", () => {
  expect(new Set(Array.from({ length: 50_000 }, newJobId)).size).toBe(50_000);
});
