import { beforeEach, expect, test } from "vitest";
import { stockQueue } from "../interop/stock.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

test("queue list is a table for people and a line of JSON a queue for programs; so are queues, queue, and all of it below admin", async () => {
  await stockQueue(prefix, "mail").addBulk([{ name: "n", data: 1 }, { name: "n", data: 1 }]);
  await stockQueue(prefix, "files").pause();
  const forms = [["queue", "list"], ["queues"], ["queue"], ["admin", "queue", "list"], ["admin", "queues"]];
  const [listed, ...same] = await Promise.all(forms.map((args) => millrace(args, { env })));
  expect(listed).toEqual({
    code: 0,
    stdout: [
      "QUEUE           WAITING  PRIO  DELAYED  CHILDREN  ACTIVE  DONE  FAILED",
      "files (paused)        0     0        0         0       0     0       0",
      "mail                  2     0        0         0       0     0       0",
      "",
    ].join("\n"),
    stderr: "",
  });
  for (const other of same) expect(other).toEqual(listed);
  const { stdout } = await millrace(["queue", "list", "--json"], { env });
  expect(stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([
    expect.objectContaining({ queue: "files", paused: true }),
    { queue: "mail", paused: false, waiting: 2, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 2 },
  ]);
});

test("an empty list ends with 0 and says so, to people", async () => {
  const [text, json, wrong] = await Promise.all([millrace(["queues"], { env }), millrace(["queues", "--json"], { env }), millrace(["queue", "lsit"], { env })]);
  expect(text).toEqual({ code: 0, stdout: "", stderr: `no queue is under the prefix "${prefix}"\n` });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean queue list?") as string });
});
