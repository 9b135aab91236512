import { expect, test } from "vitest";
import type { ExportLine } from "../../src/admin/queue-export.ts";
import { stockQueue } from "../interop/stock.ts";
import { millrace, start } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

test("queue export prints the queue, each job and the end as lines of JSON, and stops quietly when nobody reads on", async () => {
  const prefix = freshPrefix();
  const env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  const jobs = 3000;
  await stockQueue(prefix, "mail").addBulk(Array.from({ length: jobs }, (_, n) => ({ name: "welcome", data: { n, body: "x".repeat(100) } })));
  const { code, stdout, stderr } = await millrace(["queue", "export", "mail"], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line) as ExportLine);
  expect(lines[0]).toMatchObject({ kind: "queue", queue: "mail" });
  expect(lines.slice(1, -1).map((line) => (line.kind === "job" ? line.id : line.kind))).toEqual(Array.from({ length: jobs }, (_, n) => String(n + 1)));
  expect(lines.at(-1)).toEqual({ kind: "end", jobs, schedules: 0 });
  const reader = start(["queue", "export", "mail"], { env });
  await reader.says('"kind":"queue"');
  reader.closeOutput();
  expect(await reader.ended).toMatchObject({ code: 141, stderr: "" });
}, 60_000);
