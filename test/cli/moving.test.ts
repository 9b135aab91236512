import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { beginMove, park } from "../../src/store/parked.ts";
import { stockQueue } from "../interop/stock.ts";
import { openQueue } from "../store/opened-queue.ts";
import { testApp, until } from "../support/app.ts";
import { millrace, start } from "../support/command.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

/** Each starts several processes, which take their time where others compute. */
const PATIENCE = { timeout: 90_000 };

let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

test("export gives lines of JSON that import takes, from a pipe and from a file, once", PATIENCE, async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.addBulk(Array.from({ length: 3 }, (_, n) => ({ name: "n", data: { n } })));
  const { stdout, code } = await millrace(["queue", "export", "mail"], { env });
  expect(code).toBe(0);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line) as { kind: string });
  expect(lines.map(({ kind }) => kind)).toEqual(["queue", "job", "job", "job", "end"]);
  expect((await millrace(["queue", "export", "mail", "--json"], { env })).stdout.split("\n").slice(1)).toEqual(stdout.split("\n").slice(1));
  expect(await millrace(["queue", "import", "copy"], { env, input: stdout })).toEqual({ code: 0, stdout: "copy: 3 jobs and 0 schedules are imported\n", stderr: "" });
  const folder = mkdtempSync(join(tmpdir(), "millrace-export-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "mail.ndjson");
  writeFileSync(file, stdout);
  const again = await millrace(["admin", "queue", "import", "copy", file, "--json"], { env });
  expect(JSON.parse(again.stdout)).toEqual({ queue: "copy", jobs: 0, existing: 3, schedules: 0, complete: true });
  const short = await millrace(["queue", "import", "cut"], { env, input: stdout.split("\n").slice(0, 2).join("\n") });
  expect(short).toMatchObject({ code: 1, stdout: "cut: 1 job and 0 schedules are imported\n", stderr: expect.stringContaining("ends before its last line") as string });
});

test("an export of what a contract redacts is masked, says so and is not imported; with --unmasked it is, and the trail says so", PATIENCE, async () => {
  await testApp({ prefix }).put(defineJob("letter", { queue: "mail", payload: typed<{ body: string }>(), redact: ["body"] }), { body: "secret" });
  const masked = await millrace(["queue", "export", "mail"], { env });
  expect(masked).toMatchObject({ code: 0, stderr: "warning: what contracts redact is ***, so this cannot be imported: --unmasked writes it out, and the trail tells of it\n" });
  expect(masked.stdout).not.toContain("secret");
  expect(await millrace(["queue", "import", "copy"], { env, input: masked.stdout })).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("(line 1): millrace queue export --unmasked") as string });
  const [whole, refused] = await Promise.all([millrace(["queue", "export", "mail", "--unmasked"], { env }), millrace(["queue", "export", "mail", "--unmasked", "--read-only"], { env })]);
  expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("read-only") as string });
  expect(whole).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("secret") as string });
  expect(await millrace(["queue", "import", "copy"], { env, input: whole.stdout })).toMatchObject({ code: 0, stdout: "copy: 1 job and 0 schedules are imported\n" });
  const trail = (await millrace(["audit", "--json"], { env })).stdout.trim().split("\n").map((line) => JSON.parse(line) as object);
  expect(trail).toMatchObject([{ command: "queue import", outcome: "failed" }, { command: "queue export", target: "mail", details: '{"unmasked":true}' }, { command: "queue import", outcome: "done" }]);
});

test("says what is wrong with what it was given", PATIENCE, async () => {
  const [nothing, lost, noQueue, noWhere, unasked] = await Promise.all([
    millrace(["queue", "import", "mail"], { env, input: "hello\n" }),
    millrace(["queue", "import", "mail", "/nowhere/at-all"], { env }),
    millrace(["queue", "export", "mial"], { env }),
    millrace(["queue", "move", "mail", "--yes"], { env }),
    millrace(["queue", "move", "mail", "--to", "post"], { env }),
  ]);
  expect(nothing).toMatchObject({ code: 2, stderr: expect.stringContaining("line 1 of an export") as string });
  expect(lost).toMatchObject({ code: 2, stderr: expect.stringContaining("/nowhere/at-all") as string });
  expect(noQueue.code).toBe(4);
  expect(noWhere).toMatchObject({ code: 2, stderr: expect.stringContaining("--to-redis") as string });
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") as string });
});

test("move says what it would do, does it with --yes, and is in the trail of both", PATIENCE, async () => {
  await stockQueue(prefix, "mail").addBulk(Array.from({ length: 3 }, () => ({ name: "n", data: 1 })));
  const other = freshPrefix();
  const dry = await millrace(["queue", "move", "mail", "--to-prefix", other, "--dry-run", "--json"], { env });
  expect(JSON.parse(dry.stdout)).toEqual({ dryRun: true, queue: "mail", jobs: 3, to: expect.stringContaining(other) as string });
  const refused = await millrace(["queue", "move", "mail", "--to-prefix", other, "--yes", "--read-only"], { env });
  expect(refused.code).not.toBe(0);
  expect(await stockQueue(prefix, "mail").getWaitingCount()).toBe(3);
  await stockQueue(prefix, "mail").pause();
  const moved = await millrace(["queue", "move", "mail", "--to-prefix", other, "--yes"], { env });
  expect(moved.stdout).toContain("mail is paused: millrace queue resume mail lets it go on");
  expect(moved).toMatchObject({ code: 0, stdout: expect.stringMatching(/^mail: 3 jobs and 0 schedules are moved to mail under /) as string });
  expect(await stockQueue(other, "mail").getWaitingCount()).toBe(3);
  const trails = await Promise.all([env, { ...env, MILLRACE_PREFIX: other }].map((each) => millrace(["audit", "--json"], { env: each })));
  for (const { stdout } of trails) expect(JSON.parse(stdout)).toMatchObject({ command: "queue move", target: "mail", outcome: "done", touched: 3 });
});

test("one that was broken off, by Redis or by Ctrl-C, says that the same command does the rest", PATIENCE, async () => {
  await stockQueue(prefix, "mail").add("n", 1);
  const { url } = await startRedis();
  await redisClient(url).config("SET", "maxmemory", "1");
  const toldOf = expect.stringContaining("warning: this was broken off: the same command again does the rest\n") as string;
  expect(await millrace(["queue", "move", "mail", "--to-redis", url, "--yes"], { env })).toMatchObject({ stdout: "", stderr: toldOf });
  expect(await stockQueue(prefix, "mail").getWaitingCount()).toBe(1);
  const importing = start(["queue", "import", "copy"], { env });
  importing.write('{"kind":"schedule","schedule":"a","at":null,"fields":{}}\n');
  await until(async () => (await redisClient().exists(`${prefix}:copy:millrace:paused-schedules`)) === 1);
  importing.kill("SIGINT");
  expect(await importing.ended).toMatchObject({ code: 130, stdout: "", stderr: toldOf });
});

test("move --give-back says what it would do and may double, takes --yes and no other queue, and says where none stands", PATIENCE, async () => {
  const queue = await openQueue({ prefix, name: "mail" });
  await stockQueue(prefix, "mail").addBulk(Array.from({ length: 3 }, () => ({ name: "n", data: 1 })));
  const giveBack = (...flags: string[]) => millrace(["queue", "move", "mail", "--give-back", ...flags], { env });
  expect(await giveBack("--yes")).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("none stands") as string });
  await beginMove(queue, { id: "m", to: "redis://lost.example bull mail" });
  await park(queue, "m", "waiting", 0, { jobs: 2, bytes: 1e6 });
  const [unasked, both, dry, told] = await Promise.all([giveBack(), giveBack("--to", "post"), giveBack("--dry-run"), giveBack("--dry-run", "--json")]);
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") as string });
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("--give-back by itself") as string });
  expect(dry).toEqual({ code: 0, stderr: "", stdout: "would give back 2 jobs of mail to where they stood, and forget the move to redis://lost.example bull mail, which may have them too\n" });
  expect(JSON.parse(told.stdout)).toEqual({ dryRun: true, queue: "mail", jobs: 2, to: "redis://lost.example bull mail" });
  for (const flag of ["--yes", "--dry-run"]) {
    expect(await millrace(["queue", "move", "mail", "--to", "post", flag], { env })).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("--give-back") as string });
  }
  expect(await giveBack("--yes")).toEqual({
    code: 0,
    stdout: "mail: 2 jobs stand where they stood again, and the move to redis://lost.example bull mail is forgotten\n",
    stderr: "warning: if they had arrived there before it was interrupted, they are in both queues, and may run twice\n",
  });
  expect(await stockQueue(prefix, "mail").getWaitingCount()).toBe(3);
});

test("an import that is killed again and again is whole in the end, in order, and holds nothing twice", { timeout: 120_000 }, async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.addBulk(Array.from({ length: 3000 }, (_, n) => ({ name: "n", data: { n } })));
  await stock.pause();
  const text = (await millrace(["queue", "export", "mail"], { env })).stdout;
  const lines = text.split(/^/m);
  const client = redisClient();
  const copied = (): Promise<number> => client.llen(`${prefix}:copy:wait`);
  for (const part of [0.2, 0.4, 0.6, 0.8]) {
    const before = await copied();
    const running = start(["queue", "import", "copy"], { env });
    running.write(lines.slice(0, part * lines.length).join(""));
    await until(async () => (await copied()) > before);
    running.kill("SIGKILL");
    await running.ended;
  }
  expect(await copied()).toBeLessThan(3000);
  expect((await millrace(["queue", "import", "copy"], { env, input: text })).code).toBe(0);
  const again = (await millrace(["queue", "export", "copy"], { env })).stdout.split(/^/m);
  expect(again.slice(1)).toEqual(lines.slice(1));
});

test("killed again and again in the middle of a move, while both sides work, it loses nothing and doubles nothing", { timeout: 120_000 }, async () => {
  const other = freshPrefix();
  const JOBS = 6000;
  const job = defineJob("n", { queue: "mail", payload: typed<{ n: number }>(), keep: { completed: { count: 0 } } });
  const ran: number[] = [];
  await testApp({ prefix }).queue(job).putMany(Array.from({ length: JOBS }, (_, n) => ({ n })));
  const handler = defineHandler(job, { handle: async ({ n }) => {
    ran.push(n);
    await new Promise((resolve) => setTimeout(resolve, 5));
  } });
  for (const each of [prefix, other]) testApp({ prefix: each }).pool([handler], { concurrency: 4 });
  const client = redisClient();
  const moving = `${prefix}:mail:millrace:moving`;
  let kills = 0;
  for (let code: number | null = null; code === null; ) {
    const running = start(["queue", "move", "mail", "--to-prefix", other, "--yes"], { env });
    if (kills < 4) {
      // In the middle of its batches, each time at another place.
      const batches = Number((await client.hget(moving, "n")) ?? 0);
      await Promise.race([running.ended, until(async () => Number((await client.hget(moving, "n")) ?? 0) >= batches + 1 + kills)]);
      running.kill("SIGKILL");
      kills += 1;
    }
    ({ code } = await running.ended);
    if (code !== null) expect([0, 1]).toContain(code);
  }
  expect(kills).toBe(4);
  await until(async () => ran.length >= JOBS, 60_000);
  const last = await millrace(["queue", "move", "mail", "--to-prefix", other, "--yes", "--json"], { env });
  expect(JSON.parse(last.stdout)).toMatchObject({ left: { taken: [] } });
  for (const each of [prefix, other]) await testApp({ prefix: each }).queue(job).join();
  expect(ran.length).toBe(JOBS);
  expect(new Set(ran).size).toBe(JOBS);
});
