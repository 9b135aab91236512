import { beforeEach, expect, test } from "vitest";
import { stockQueue } from "../interop/stock.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
beforeEach(() => {
  prefix = freshPrefix();
});

const run = (...args: string[]): Promise<Ended> => millrace(args, { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });

test("schedule put, list, pause, resume, run and remove say what they did", async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.upsertJobScheduler("digest", { pattern: "0 7 * * *", tz: "UTC" }, { name: "send" });
  const put = await run("schedule", "put", "mail", "sweep", "--every", "90s", "--payload", '{"dir":"/tmp"}');
  expect(put.stdout).toMatch(/^schedule sweep of mail: every 90 s, next (now|in \d+ s|in 1 min)\n$/);
  const [text, json, job] = await Promise.all([run("schedules"), run("schedule", "list", "mail", "--json"), run("schedule", "run", "mail", "digest")]);
  const lines = text.stdout.split("\n");
  expect(lines[0]).toMatch(/^QUEUE +ID +JOB +WHEN +NEXT +RUNS$/);
  expect(lines.slice(1, 3).toSorted()).toEqual([expect.stringMatching(/^mail +digest +send +0 7 \* \* \* UTC +in \d+ (h|min) +\d$/) as string, expect.stringMatching(/^mail +sweep +sweep +every 90 s +(now|in \d+ s|in 1 min|\d+ s overdue) +\d$/) as string]);
  expect(json.stdout.trim().split("\n").map((line) => JSON.parse(line) as object)).toEqual(expect.arrayContaining([expect.objectContaining({ queue: "mail", id: "sweep", everyMs: 90_000, payload: { dir: "/tmp" }, paused: false })]));
  expect(await stock.getJob(job.stdout.trim())).toMatchObject({ name: "send" });
  expect(await run("schedule", "pause", "mail", "digest")).toEqual({ code: 0, stdout: "schedule digest of mail is paused\n", stderr: "" });
  expect((await run("schedule", "list", "mail")).stdout).toMatch(/digest +send +0 7 \* \* \* UTC +paused/);
  expect((await run("schedule", "resume", "mail", "digest")).stdout).toMatch(/^schedule digest of mail goes on, next in \d+ (h|min)\n$/);
  expect((await run("schedule", "remove", "mail", "digest")).code).toBe(2);
  expect(await run("schedule", "remove", "mail", "digest", "--dry-run")).toMatchObject({ code: 0, stdout: "would remove the schedule digest of mail\n" });
  expect(await run("schedule", "remove", "mail", "digest", "--yes")).toMatchObject({ code: 0, stdout: "schedule digest of mail is removed\n" });
  expect((await stock.getJobSchedulers()).map(({ key }) => key)).toEqual(["sweep"]);
}, 60_000);

test("no schedule ends with 0 and says so; what is none with 2, one that is not there with 4", async () => {
  await stockQueue(prefix, "mail").add("n", 1);
  const [none, json, wrong, both, gone] = await Promise.all([
    run("schedules"), run("schedule", "list", "mail", "--json"), run("schedule", "put", "mail", "x", "--cron", "99 * * * *"), run("schedule", "put", "mail", "x"), run("schedule", "pause", "mail", "x"),
  ]);
  expect(none).toEqual({ code: 0, stdout: "", stderr: "there are no schedules\n" });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("expected a cron pattern") as string });
  expect([both.code, gone.code]).toEqual([2, 4]);
});
