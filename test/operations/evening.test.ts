/** An operator's evening: a queue in trouble, brought back by commands alone, on real worker processes and a Redis of its own. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { until } from "../support/app.ts";
import { millrace, project, start, type Ended, type Running } from "../support/command.ts";
import { freshPrefix, startRedis } from "../support/redis.ts";

/** Sends a mail, which takes its time, and writes down that it was sent. */
const GOOD = `
  import { appendFileSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  import { defineHandler, defineJob, typed } from "millrace";
  export default defineHandler(defineJob("send", { queue: "mail", payload: typed<{ user: number; hangs?: boolean }>() }), {
    async handle({ user, hangs }, { signal }) {
      await sleep(hangs ? 3_600_000 : 1000, undefined, { signal });
      appendFileSync("sent", user + "\\n");
    },
  });`;
/** As it was deployed that evening. */
const BAD = GOOD.replace("await sleep", "throw new Error(`no template for user ${user}`);\n      await sleep");

test("an evening on call", { timeout: 240_000 }, async () => {
  const { url } = await startRedis();
  const cwd = project({ "workers/good.ts": GOOD, "workers/bad.ts": BAD });
  const { as, json, doctorSays, put, worker, users, sent } = evening(cwd, { REDIS_URL: url, MILLRACE_PREFIX: freshPrefix() });
  const ada = as("ada");

  // Mails are put and none is sent: nobody consumes them.
  await put(40);
  expect(await doctorSays("unconsumed")).toMatchObject({ subject: "queue mail", severity: "error", evidence: { waiting: 40, quietWorkers: 0 }, remedy: expect.stringContaining("millrace worker start") as string });
  const mill = await worker("mill", "good");
  await doctorSays("unconsumed", false);

  // One slot is too few for what arrives, and one mail among them hangs; what doctor advises is typed, only bolder.
  const growing = await doctorSays("growing", true, () => put(20));
  await as("shop")("put", "--queue", "mail", "--name", "send", "--unchecked", "--id", "stuck-mail", '{"user":0,"hangs":true}');
  const [, id = "", advised = ""] = /^millrace worker scale (\S+) --concurrency (\d+) or more, /.exec(growing.remedy) ?? [];
  expect(growing).toMatchObject({ subject: "queue mail", evidence: { backlog: expect.any(Number) as number, slots: 1, slotsNeeded: Number(advised) } });
  expect(Number(advised)).toBeGreaterThan(1);
  expect(json(await ada("worker", "scale", id, "--concurrency", "100", "--json"))).toEqual([{ id, name: "mill", from: 1, to: 100, usable: 100 }]);
  await doctorSays("growing", false);

  // The one that hangs is there still when all others have been sent.
  let tasks: Row[] = [];
  await until(async () => (tasks = json(await ada("task", "list", "--json"))).map((task) => task["id"]).join() === "stuck-mail", PATIENCE_MS);
  expect(tasks).toMatchObject([{ id: "stuck-mail", name: "send", queue: "mail", stuck: false, worker: { id, name: "mill" } }]);
  expect(json(await ada("task", "cancel", "stuck-m", "--reason", "hangs since eight", "--json"))).toMatchObject([{ id: "stuck-mail", cancelled: true }]);
  await until(async () => json(await ada("job", "show", "mail", "stuck-mail", "--json"))[0]?.["state"] === "failed", PATIENCE_MS);
  expect(json(await ada("join", "mail", "--timeout", "1m", "--json"))).toMatchObject([{ unfinished: 0, failed: 1 }]);
  expect(sent()).toEqual(users());

  // A bad deploy fails all that it takes.
  expect(await ada("worker", "stop", "mill", "--wait", "1m")).toMatchObject({ code: 0 });
  expect((await mill.ended).code).toBe(0);
  const bad = await worker("bad", "bad");
  await put(30);
  expect(await doctorSays("dead-letters")).toMatchObject({ subject: "queue mail", remedy: "millrace dead list mail" });
  await ada("join", "mail", "--timeout", "1m");
  const groups = json(await ada("dead", "list", "mail", "--json"));
  expect(groups).toMatchObject([{ name: "send", error: "no template for user <n>", count: 30, sampleStack: expect.stringContaining("workers/bad.ts") as string }]);
  const group = String(groups[0]?.["group"]);
  const shown = await ada("dead", "show", "mail", group);
  expect(shown.stdout).toMatch(/^30 dead letters of send: no template for user <n>\n/);
  expect(shown.stdout).toContain(`millrace dead retry mail --group ${group}`);

  // Grace has the fix. It replaces the bad one, and what had failed is sent.
  const grace = as("grace");
  expect(await grace("worker", "stop", "bad", "--wait", "1m")).toMatchObject({ code: 0 });
  expect((await bad.ended).code).toBe(0);
  const fixed = await worker("fixed", "good", "--concurrency", "5");
  expect(await grace("dead", "retry", "mail", "--group", group)).toMatchObject({ code: 0, stdout: "retried 30 jobs of mail\n" });

  // She moves the worker elsewhere in the middle of its work: quiet, stopped, replaced, and nothing is lost.
  await put(100);
  expect(json(await grace("worker", "quiet", "fixed", "--json"))).toMatchObject([{ name: "fixed", state: "quiet" }]);
  await until(async () => json(await grace("workers", "--json")).every(({ state, running }) => state === "quiet" && running === 0), PATIENCE_MS);
  expect(Number(json(await grace("queues", "--json"))[0]?.["waiting"])).toBeGreaterThan(0);
  expect(await doctorSays("unconsumed")).toMatchObject({ message: "nobody consumes it, since its workers are quiet, and jobs wait" });
  expect(await grace("worker", "stop", "fixed", "--wait", "1m")).toMatchObject({ code: 0 });
  expect((await fixed.ended).code).toBe(0);
  await worker("elsewhere", "good", "--concurrency", "100");
  expect(json(await grace("queue", "join", "mail", "--timeout", "1m", "--json"))).toMatchObject([{ queue: "mail", unfinished: 0, failed: 1 }]);
  expect(sent()).toEqual(users());
  await doctorSays("unconsumed", false);

  // The trail knows who did what.
  const trail = json(await ada("audit", "--json")).filter(({ who }) => who !== "shop");
  const named = (name: string): unknown => expect.stringMatching(new RegExp(`^[a-z0-9]{8} \\(${name}\\)$`));
  expect(trail.map(({ who, command, target, outcome, touched }) => [who, command, target, outcome, touched])).toEqual([
    ["ada", "worker scale", `${id} (mill)`, "done", 1],
    ["ada", "task cancel", "mail/stuck-mail", "done", 1],
    ["ada", "worker stop", `${id} (mill)`, "done", 1],
    ["grace", "worker stop", named("bad"), "done", 1],
    ["grace", "dead retry", "mail", "done", 30],
    ["grace", "worker quiet", named("fixed"), "done", 1],
    ["grace", "worker stop", named("fixed"), "done", 1],
  ]);
});

/** Ends a worker with the test, also when that is killed: nobody holds the other end of its input then. */
const ENDS_WITH_US = `data:text/javascript,process.stdin.on("end", () => process.kill(process.pid, "SIGKILL")).resume().unref()`;
/** For what comes by itself, on a machine that computes something else too. */
const PATIENCE_MS = 60_000;

type Row = Readonly<Record<string, unknown>>;

interface Found extends Row {
  readonly finding: string;
  readonly remedy: string;
}

/** What the people of the story do, and the mails that were put and sent; the shop puts them. */
function evening(cwd: string, redis: Readonly<Record<string, string>>) {
  let mails = 0;
  const as = (who: string) => (...args: string[]): Promise<Ended> => millrace(args, { cwd, env: { ...redis, MILLRACE_WHO: who } });
  const json = ({ stdout }: Ended): Row[] => stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Row);

  /** Puts mails to so many more users. */
  async function put(count: number): Promise<void> {
    const input = Array.from({ length: count }, () => `{"user":${(mails += 1)}}\n`).join("");
    const ended = await millrace(["put", "--queue", "mail", "--name", "send", "--unchecked", "-"], { cwd, input, env: { ...redis, MILLRACE_WHO: "shop" } });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
  }

  /** Asks doctor until it says so, or no longer does. */
  async function doctorSays(finding: string, is = true, meanwhile?: () => Promise<void>): Promise<Found> {
    let found: Found | undefined;
    await until(async () => {
      await meanwhile?.();
      const ended = await as("ada")("doctor", "--json");
      const findings = json(ended) as Found[];
      expect(ended.code).toBe(findings.length > 0 ? 5 : 0);
      found = findings.find((one) => one.finding === finding);
      return (found !== undefined) === is;
    }, PATIENCE_MS);
    return found!;
  }

  /** Started with a module, and registered. */
  async function worker(name: string, module: string, ...args: string[]): Promise<Running> {
    const running = start(["worker", "start", `workers/${module}.ts`, "--name", name, ...(args.length > 0 ? args : ["--concurrency", "1"])], { cwd, env: redis, node: ["--import", ENDS_WITH_US] });
    await running.says("worker is ready");
    await until(async () => json(await as("ada")("workers", "--json")).some(({ pid }) => pid === running.pid), PATIENCE_MS);
    return running;
  }

  const users = (): number[] => Array.from({ length: mails }, (_, i) => i + 1);
  const sent = (): number[] => readFileSync(join(cwd, "sent"), "utf8").trim().split("\n").map(Number).toSorted((a, b) => a - b);
  return { as, json, doctorSays, put, worker, users, sent };
}
