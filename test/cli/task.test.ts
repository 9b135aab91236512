/** The commands `task …` on real processes. */
import type { Queue } from "bullmq";
import { beforeEach, expect, test } from "vitest";
import type { TaskRow } from "../../src/admin/tasks.ts";
import { tableLines } from "../../src/cli/table.ts";
import { FLAT } from "../../src/cli/task.ts";
import { stockQueue } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { millrace, project, start, type Ended, type Running } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const HANDLER = `
  import { defineHandler, defineJob, typed } from "millrace";
  export default defineHandler(defineJob("nap", { queue: "work", payload: typed<object>(), progress: typed<number>(), attempts: 5 }), {
    async handle(_, task) {
      await task.progress(40);
      console.log("begins");
      await new Promise<unknown>((_, fail) => task.signal.addEventListener("abort", () => fail(task.signal.reason)));
    },
  });`;

let cwd: string;
let env: Record<string, string>;
let queue: Queue;
beforeEach(() => {
  cwd = project({ "workers/nap.ts": HANDLER });
  const prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  queue = stockQueue(prefix);
});

const run = (...args: string[]): Promise<Ended> => millrace(args, { cwd, env });
const json = ({ stdout }: Ended): Record<string, unknown>[] => stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);

async function working(jobs: number): Promise<Running> {
  const running = start(["worker", "start", "--name", "mill", "--drain", "0s"], { cwd, env });
  await running.says("worker is ready");
  for (let n = 1; n <= jobs; n += 1) {
    await queue.add("nap", {}, { jobId: `job-${n}` });
    await running.says("begins", n);
  }
  await until(async () => json(await run("tasks", "--json")).filter(({ progress }) => progress === "40").length === jobs);
  return running;
}

test("task list shows everything that runs, as a table, below its worker, and as JSON", { timeout: 60_000 }, async () => {
  expect(await run("tasks")).toEqual({ code: 0, stdout: "", stderr: "nothing runs\n" });
  expect(await run("tasks", "--json")).toEqual({ code: 0, stdout: "", stderr: "" });
  await working(2);
  const [listed, bare, tree, told] = await Promise.all([run("task", "list"), run("tasks"), run("tasks", "--tree"), run("admin", "task", "list", "--json")]);
  const lines = listed.stdout.split("\n");
  expect(lines[0]).toMatch(/^TASK +NAME +QUEUE +TRY +AGE +PROGRESS +WORKER +NOTE$/);
  expect(lines[1]).toMatch(/^job-1 +nap +work +1 +[\d.]+ s +40 +[2-9a-z]{8}$/);
  expect(lines).toHaveLength(4);
  expect(bare.stdout.split("\n")[0]).toBe(lines[0]);
  expect(tree.stdout.split("\n")[0]).toMatch(/^[2-9a-z]{8} {2}mill$/);
  expect(tree.stdout).toMatch(/^├─ job-1 .*\n└─ job-2 /m);
  expect(json(told)).toEqual(
    [1, 2].map((n) => ({
      id: `job-${n}`, name: "nap", queue: "work", attempt: 1, startedAt: expect.any(Number) as number, ageMs: expect.any(Number) as number,
      progress: "40", interruption: null, stuck: false, worker: { id: expect.any(String) as string, name: "mill" },
    })),
  );
});

test("task list filters, with its verb or without, says where nothing matches, and names the flag that is wrong", { timeout: 60_000 }, async () => {
  await working(2);
  const [first, queue, none, wrong, both] = await Promise.all([
    run("tasks", "--limit", "1", "--json"), run("task", "list", "--queue", "work", "--name", "nap", "--older", "1ms"), run("tasks", "--older", "1h", "--tree"), run("tasks", "--older", "soon"), run("tasks", "--pid", "1", "--queue", "work"),
  ]);
  expect(json(first)).toMatchObject([{ id: "job-1" }]);
  expect(queue.stdout).toMatch(/^TASK .*\njob-1 .*\njob-2 .*\n$/);
  expect(none).toEqual({ code: 0, stdout: "", stderr: "no task matches\n" });
  expect(wrong).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("for --older") as string });
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("--pid by itself") as string });
});

test("task cancel ends tasks wherever they run, with a reason, and says so; of those that are not there too", { timeout: 60_000 }, async () => {
  await working(2);
  const cancelled = await run("task", "cancel", "job-1", "--reason", "the customer left");
  expect(cancelled).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nap job-1 of work is told to end, on [2-9a-z]{8} \(mill\)\n$/) as string });
  await until(async () => (await queue.getJobState("job-1")) === "failed");
  expect((await queue.getJob("job-1"))?.failedReason).toContain("the customer left");
  expect(await queue.getActiveCount()).toBe(1);
  const [other, gone, none] = await Promise.all([run("task", "cancel", "job-2", "--json"), run("task", "cancel", "nobody"), run("task", "cancel")]);
  expect(json(other)).toEqual([{ id: "job-2", name: "nap", queue: "work", worker: { id: expect.any(String) as string, name: "mill" }, cancelled: true }]);
  expect(gone).toMatchObject({ code: 4, stderr: expect.stringContaining('begins with, "nobody"') as string });
  expect(none.code).toBe(2);
  expect(await run("task", "cancel", "job-2", "--read-only")).toMatchObject({ code: 1, stderr: expect.stringContaining("read-only") as string });
  expect(await run("task", "cancle", "job-2")).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean task cancel?") as string });
});

test("the list fits a terminal of 80 columns, whoever runs the tasks and for how long", async () => {
  const of = { id: "AaIsmClJcHiHeFsmsSXySQ", name: "welcome-mail", queue: "mail-of-customers", attempt: 1, startedAt: 0, ageMs: 3_500_000, stuck: false };
  const rows: TaskRow[] = [
    { ...of, progress: '{"sent":12,"of":40}', interruption: "cancelled", worker: { id: "km9dcq4x", name: "mill" } },
    { ...of, progress: null, interruption: null, worker: { id: null, name: "press-of-the-old-kind" } },
  ];
  const lines: string[] = [];
  for await (const line of tableLines(rows, FLAT, { isTTY: true, columns: 80, write: () => true })) lines.push(line);
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});
