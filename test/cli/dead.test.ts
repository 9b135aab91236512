import { beforeEach, expect, test } from "vitest";
import type { DeadGroup } from "../../src/admin/dead.ts";
import { failJobs, stockQueue } from "../interop/stock.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
beforeEach(() => {
  prefix = freshPrefix();
});

const dead = (...args: string[]): Promise<Ended> => millrace(["dead", ...args], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });

test("dead list groups, show explains, retry and discard take a whole group, export writes lines", async () => {
  const stock = stockQueue(prefix, "mail");
  await failJobs(stock, prefix, [1, 2, 3].map((n) => ({ name: "welcome", data: { n } })), (job) => Promise.reject(new Error((job.data as { n: number }).n === 3 ? "no address" : `host ${job.id} is down`)));
  const [text, bare, json, exported] = await Promise.all([dead("list", "mail"), dead(), dead("list", "--json"), dead("export", "mail", "--error", "down")]);
  const [header, first, firstAt, second] = text.stdout.split("\n");
  expect(header).toMatch(/^GROUP +COUNT +NAME +LAST +ERROR$/);
  expect(first).toMatch(/^[\da-f]{8} +2 +welcome +\d+ s +host <n> is down$/);
  expect(firstAt).toMatch(/^ {10}at .*dead\.test\.ts:\d+/);
  expect(second).toMatch(/^[\da-f]{8} +1 +welcome +\d+ s +no address$/);
  expect(bare.stdout).toMatch(/^QUEUE +GROUP/);
  const groups = json.stdout.trim().split("\n").map((line) => JSON.parse(line) as DeadGroup);
  expect(groups).toMatchObject([{ queue: "mail", count: 2, error: "host <n> is down", sampleStack: expect.stringContaining("    at ") as string }, { count: 1 }]);
  const lines = exported.stdout.trim().split("\n").map((line) => JSON.parse(line) as object);
  expect(lines).toMatchObject([{ id: "2", payload: { n: 2 } }, { id: "1", payload: { n: 1 } }]);
  const { group } = groups[0]!;
  const shown = await dead("show", "mail", group);
  expect(shown.stdout).toMatch(/^2 dead letters of welcome: host <n> is down\n/);
  expect(shown.stdout).toContain(`millrace dead retry mail --group ${group}`);
  expect(await dead("retry", "mail", "--group", group)).toEqual({ code: 0, stdout: "retried 2 jobs of mail\n", stderr: "" });
  expect((await dead("discard", "mail", "--all")).code).toBe(2);
  expect(await dead("discard", "mail", "--all", "--yes")).toEqual({ code: 0, stdout: "discarded 1 job of mail\n", stderr: "" });
  expect(await stock.getJobCounts("waiting", "failed")).toEqual({ waiting: 2, failed: 0 });
}, 90_000);

test("nothing to list ends with 0 and says so; a group that is not there with 4, what is none with 2", async () => {
  await stockQueue(prefix, "mail").add("n", 1);
  const [list, queue, json, group, nothing, wrong, exported] = await Promise.all([
    dead("list"), dead("list", "mail", "--name", "n"), dead("list", "--json"), dead("show", "mail", "ffffffff"), dead("retry", "mail", "--all"), dead("list", "--older", "soon"), dead("export", "mail"),
  ]);
  expect(list).toEqual({ code: 0, stdout: "", stderr: "there are no dead letters\n" });
  expect(queue).toEqual({ code: 0, stdout: "", stderr: "there are no dead letters in mail that match\n" });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(group).toMatchObject({ code: 4, stderr: expect.stringContaining("millrace dead list mail names its groups") as string });
  expect(nothing).toEqual({ code: 0, stdout: "", stderr: "no job of mail matches\n" });
  expect(wrong.code).toBe(2);
  expect(exported).toEqual({ code: 0, stdout: "", stderr: "there are no dead letters in mail\n" });
}, 90_000);
