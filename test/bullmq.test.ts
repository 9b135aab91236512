import { expect, test } from "vitest";
import * as entry from "../src/bullmq.ts";

test("the entry of BullMQ's users holds what it promises, and nothing else", () => {
  expect(Object.keys(entry).toSorted()).toEqual(["createMillraceBackend", "fromProcessor", "millraceBackend"]);
});
