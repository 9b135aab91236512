import { beforeEach, expect, test } from "vitest";
import { failJobs, stockQueue } from "../interop/stock.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

/** One job that failed, one that waits and one that is due in ten minutes; two hours old. */
async function threeJobs(): Promise<void> {
  const stock = stockQueue(prefix, "mail");
  const timestamp = Date.now() - 7_300_000;
  await failJobs(stock, prefix, [{ name: "bad", data: { to: "ada" }, opts: { timestamp } }], async (job) => (await job.log("trying"), Promise.reject(new Error("no such address\nat all"))));
  await stock.addBulk([{ name: "welcome", data: 1, opts: { timestamp } }, { name: "later", data: 1, opts: { delay: 700_000 } }]);
}

test("job list is a table for people and a line of JSON a job for programs; jobs for short", async () => {
  await threeJobs();
  const [text, plural, json, failed] = await Promise.all([
    millrace(["job", "list", "mail"], { env }),
    millrace(["admin", "job", "list", "mail"], { env }),
    millrace(["job", "list", "mail", "--json"], { env }),
    millrace(["job", "list", "mail", "--state", "failed,completed", "--error", "address"], { env }),
  ]);
  expect(text.stdout.split("\n")).toEqual([
    expect.stringMatching(/^ID +NAME +STATE +AGE +TRIES +NOTE$/) as string,
    expect.stringMatching(/^2 +welcome +waiting +2 h +0$/) as string,
    expect.stringMatching(/^3 +later +delayed +\d+ (s|min) +0 +due in \d+ min$/) as string,
    expect.stringMatching(/^1 +bad +failed +\d+ (s|min) +1 +no such address at all$/) as string,
    "",
  ]);
  expect(plural.stdout.split("\n").length).toBe(5);
  const rows = json.stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(rows).toMatchObject([{ id: "2", state: "waiting" }, { id: "3", state: "delayed" }, { queue: "mail", id: "1", name: "bad", state: "failed", attempts: 1, priority: 0, reason: "no such address\nat all" }]);
  expect(failed.stdout.split("\n")).toHaveLength(3);
}, 90_000);

test("a list that matches nothing ends with 0 and says so; what is none with 2, a queue that is not there with 4", async () => {
  await threeJobs();
  const [none, json, wrong, regex, unknown, bare] = await Promise.all(
    [["mail", "--name", "nobody"], ["mail", "--older", "1d", "--json"], ["mail", "--state", "faild"], ["mail", "--error", "("], ["mial"], []].map((args) => millrace(["job", "list", ...args], { env })),
  );
  expect(none).toEqual({ code: 0, stdout: "", stderr: "no job of mail matches\n" });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "failed"?') as string });
  expect(regex?.code).toBe(2);
  expect(unknown?.code).toBe(4);
  expect(bare?.code).toBe(2);
}, 90_000);

test("job show tells all of a job, job logs what it logged", async () => {
  await threeJobs();
  const [text, json, logs, logsJson, silent, unknown] = await Promise.all([
    millrace(["job", "show", "mail", "1"], { env }),
    millrace(["job", "show", "mail", "1", "--json"], { env }),
    millrace(["job", "logs", "mail", "1"], { env }),
    millrace(["job", "logs", "mail", "1", "--json"], { env }),
    millrace(["job", "logs", "mail", "2"], { env }),
    millrace(["job", "show", "mail", "99"], { env }),
  ]);
  const lines = text.stdout.split("\n");
  expect(lines[0]).toBe("bad 1");
  for (const line of ["  state     failed", "  attempts  1, 1 delivery", "  payload   { to: 'ada' }", "  reason    no such address at all"]) expect(lines).toContain(line);
  expect(text.stdout).toMatch(/ {2}put {7}\d{4}-.*Z \(2 h ago\)\n/);
  expect(text.stdout).toMatch(/\n {4}Error: no such address\n {4}at all\n {6}at .*job\.test\.ts.*\n {6}\(and \d+ frames of Node, Millrace or BullMQ: --json has all\)\n$/);
  expect(JSON.parse(json.stdout)).toMatchObject({ queue: "mail", id: "1", state: "failed", payload: { to: "ada" }, attempts: 1, logLines: 1, stacks: [expect.stringContaining("/node_modules/bullmq/") as string] });
  expect(logs.stdout).toBe("trying\n");
  expect(JSON.parse(logsJson.stdout)).toEqual({ line: "trying" });
  expect(silent).toEqual({ code: 0, stdout: "", stderr: "job 2 of mail has logged nothing\n" });
  expect(unknown).toMatchObject({ code: 4, stderr: expect.stringContaining('no job "99" is in queue mail') as string });
}, 90_000);
