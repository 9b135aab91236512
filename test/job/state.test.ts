import { expect, test } from "vitest";
import { cancelledReason, JOB_STATES, reasonOfCancel } from "../../src/job/state.ts";

test("names BullMQ's states", () => {
  expect(JOB_STATES).toEqual(["waiting", "prioritized", "delayed", "waiting-children", "active", "completed", "failed"]);
});

test("a cancelled job is a failed one whose reason says so", () => {
  expect(cancelledReason("user asked")).toBe("cancelled: user asked");
  for (const reason of ["user asked", "", "cancelled: twice"]) expect(reasonOfCancel(cancelledReason(reason))).toBe(reason);
  expect(reasonOfCancel("the order was cancelled: by phone")).toBeUndefined();
  expect(reasonOfCancel("")).toBeUndefined();
});
