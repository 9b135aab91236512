import { hostname } from "node:os";
import { beforeEach, expect, test } from "vitest";
import { restartWorkers } from "../../src/admin/worker-verbs.ts";
import { COLUMNS } from "../../src/cli/audit.ts";
import { tableLines } from "../../src/cli/table.ts";
import { register } from "../../src/control/registry.ts";
import { StateError } from "../../src/errors.ts";
import { testOperator } from "../admin/opened-operator.ts";
import { entryOf, hearing } from "../control/control.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let env: Record<string, string>;
beforeEach(() => {
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
});

const put = ["put", "--queue", "mail", "--name", "welcome", "--unchecked", "{}"];

test("tells who put what, in a table and in JSON", async () => {
  expect((await millrace(put, { env: { ...env, MILLRACE_WHO: "ada" } })).code).toBe(0);
  expect((await millrace(put, { env })).code).toBe(0);
  const [text, json] = await Promise.all([millrace(["audit", "--since", "1h"], { env }), millrace(["admin", "audit", "--json"], { env })]);
  const [header, first] = text.stdout.split("\n");
  expect(header).toMatch(/^WHEN \(UTC\) +WHO +COMMAND +TARGET +OUTCOME$/);
  expect(first).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}ada +job put +mail +done \(1 change\)$/);
  const entries = json.stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown);
  expect(entries).toEqual([
    { id: expect.any(String) as string, at: expect.any(Number) as number, who: "ada", command: "job put", target: "mail", details: '{"name":"welcome"}', outcome: "done", touched: 1 },
    expect.objectContaining({ who: expect.stringMatching(new RegExp(`^.+@${hostname()}$`)) as string }),
  ]);
}, 90_000);

test("says below a change that failed why it did", async () => {
  expect((await millrace(put, { env })).code).toBe(0);
  expect((await millrace(["job", "retry", "mail", "nobody"], { env })).code).toBe(4);
  expect((await millrace(["audit"], { env })).stdout).toMatch(/ job retry +mail\/nobody +failed \(0 changes\)\n +NOT_FOUND: no job "nobody" is in queue mail: .*\n$/);
}, 90_000);

test("says of a change that some workers made, and others not, that it failed, and who they were", async () => {
  const operator = testOperator({ prefix: env["MILLRACE_PREFIX"]! });
  await operator.ready();
  for (const id of ["refuses", "silent1", "silent2"]) await register(operator.connections, entryOf(id), []);
  await hearing(operator.connections, "refuses", { restart: () => Promise.reject(new StateError("nobody would start this one again")) });
  await restartWorkers(operator, "all");
  expect((await millrace(["audit"], { env })).stdout).toMatch(/ worker restart +all +failed \(0 changes\)\n +TIMEOUT: no answer from silent1 \(name-silent1\), silent2 \(name-silent2\); refuses \(name-refuses\) refused: nobody would start this one again\n$/);
}, 90_000);

test("tells on 80 columns how a change ended, whoever made it and whatever of", async () => {
  const entry = { id: "1-0", at: 0, who: "alexandra@worker-host", command: "worker log-level", target: "9vq7ns27 (second.1), km9dcq4x (mill)", details: "{}", outcome: "failed", touched: 1, error: undefined } as const;
  const lines: string[] = [];
  for await (const line of tableLines([entry], COLUMNS, { isTTY: true, columns: 80, write: () => true })) lines.push(line);
  expect(lines[1]).toMatch(/ failed \(1 change\)$/);
  expect(lines[1]!.length).toBeLessThanOrEqual(80);
});

test("an empty trail ends with 0 and says so; a time that is none with 2", async () => {
  const [empty, json, wrong] = await Promise.all([millrace(["audit"], { env }), millrace(["audit", "--json"], { env }), millrace(["audit", "--since", "monday"], { env })]);
  expect(empty).toEqual({ code: 0, stdout: "", stderr: "nothing was changed by these commands yet\n" });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("--since") as string });
}, 90_000);

test("--read-only before a command that does not know it is refused, and not passed over", async () => {
  expect(await millrace(["--read-only", "redis", "status"], { env })).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("--read-only does not go with redis status") as string });
}, 90_000);

test("--read-only, or MILLRACE_READ_ONLY, refuses what changes anything, before any I/O", async () => {
  const nowhere = { ...env, REDIS_URL: "redis://127.0.0.1:1" };
  const refused = await Promise.all([
    millrace(["job", ...put, "--read-only"], { env: nowhere }),
    millrace(put, { env: { ...nowhere, MILLRACE_READ_ONLY: "1" } }),
    millrace(["--read-only", "job", ...put], { env: nowhere }),
    millrace(["job", "--read-only", ...put], { env: nowhere }),
  ]);
  for (const { code, stdout, stderr } of refused) {
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe("error: expected a command that only looks, since this operator is read-only, got job put\n");
  }
  expect((await millrace(["audit", "--read-only"], { env })).code).toBe(0);
  expect((await millrace(["queues"], { env: { ...env, MILLRACE_READ_ONLY: "perhaps" } })).code).toBe(2);
}, 90_000);
