import { expect, test } from "vitest";
import { promoteJobs } from "../../src/store/promote.ts";
import { newJob, openQueue, putAll, waitingIds } from "./opened-queue.ts";

test("what is delayed waits, and what is not is left", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("now"), newJob("later", { delayMs: 60_000 })]);
  expect([...(await promoteJobs(queue, ["later", "now", "gone"]))]).toEqual(["later"]);
  expect(await waitingIds(queue)).toEqual(["now", "later"]);
});
