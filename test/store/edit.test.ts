import { expect, test } from "vitest";
import { copyable, editJob } from "../../src/store/edit.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

test("options of which none was said stay as they are, and what is no JSON is taken for none", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a", { options: '{"attempts":3,"kl":9}' }), newJob("b")]);
  const nothing = { data: undefined, priority: undefined, delayMs: undefined, attempts: undefined };
  await editJob(queue, "a", { ...nothing, attempts: 5 });
  await queue.client.hset(`${queue.keys.base}b`, "opts", "{");
  await editJob(queue, "b", { ...nothing, attempts: 2 });
  const copies = await copyable(queue, ["a", "b", "gone"]);
  expect([...copies].map(([id, { options }]) => [id, options])).toEqual([["a", '{"attempts":5,"kl":9}'], ["b", '{"attempts":2}']]);
});
