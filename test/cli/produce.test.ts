import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { millrace, project, start } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

const NUMBERS = `
  import { defineJob } from "millrace/job";
  import type { App } from "millrace";
  import { z } from "zod";
  const number = defineJob("number", { payload: z.int() });
  export default async function produce(app: App, args: readonly string[], { stdin, stdout, signal, log }) {
    let text = "";
    if (args.includes("-")) for await (const chunk of stdin) text += chunk;
    for (const n of text.trim().split(" ").concat(args).filter((arg) => /^\\d+$/.test(arg))) await app.put(number, Number(n));
    log.info({ args }, "done");
    stdout.write(JSON.stringify(args) + "\\n");
  }`;

test("runs the default export with an app, its arguments and the streams", async () => {
  const cwd = project({ "producers/numbers.ts": NUMBERS });
  const { code, stdout, stderr } = await millrace(["produce", "numbers", "-", "3", "--json", "--redis", "mine", "-x"], { cwd, env, input: "1 2" });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '["-","3","--json","--redis","mine","-x"]\n' });
  expect(JSON.parse(stderr)).toMatchObject({ level: "info", msg: "done" });
  const client = new Redis(redisUrl());
  onTestFinished(() => client.disconnect());
  expect(await client.llen(`${prefix}:number:wait`)).toBe(3);
});

test("what it throws ends with 1 and its place; what we throw to it with our code", async () => {
  const cwd = project({
    "producers/fails.js": 'export default async () => { throw new Error("out of paper"); };',
    "producers/puts.js": 'import { defineJob, typed } from "millrace/job";\nexport default (app) => app.put(defineJob("n", { payload: typed() }), () => 1);',
  });
  const [own, ours] = await Promise.all([millrace(["produce", "fails"], { cwd, env }), millrace(["--json", "produce", "puts"], { cwd, env })]);
  expect(own.code).toBe(1);
  expect(own.stderr).toMatch(/^error: out of paper\n\s+at .*producers\/fails\.js:1/);
  expect(ours.code).toBe(2);
  expect(JSON.parse(ours.stderr)).toMatchObject({ error: { code: "PAYLOAD_INVALID" } });
});

test("does not wait for what the module left open", async () => {
  const cwd = project({ "producers/open.js": "setInterval(() => {}, 1000);\nexport default async () => {};" });
  expect(await millrace(["produce", "open"], { cwd, env })).toMatchObject({ code: 0, stderr: "" });
});

test("suggests a producer that there is, and finds those that the package ships", async () => {
  const cwd = project({ "producers/numbers.ts": NUMBERS, "producers/numbers.test.ts": "throw 1", "producers/jobs/x.ts": "throw 1" });
  const [near, far, shipped] = await Promise.all([
    millrace(["produce", "nubmers"], { cwd, env }),
    millrace(["produce", "zzzzzzzzzz"], { cwd, env }),
    millrace(["produce", "lines"], { cwd, env }),
  ]);
  expect(near).toMatchObject({ code: 4, stderr: expect.stringContaining("did you mean numbers?") as string });
  expect(far).toMatchObject({ code: 4, stderr: expect.stringMatching(/there are files, lines, .*numbers/) as string });
  expect(shipped).toMatchObject({ code: 2, stderr: expect.stringContaining("--job") as string });
});

test("gives a producer contracts by their names", async () => {
  const cwd = project({ "producers/jobs/all.ts": 'import { defineJob } from "millrace/job";\nimport { z } from "zod";\nexport const row = defineJob("row", { payload: z.object({ n: z.int() }) });' });
  const { code, stderr } = await millrace(["produce", "lines", "--job", "row"], { cwd, env, input: '{"n":1}\n{"n":2}\n' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("2 put") as string });
  expect(await millrace(["produce", "lines", "--job", "rwo"], { cwd, env })).toMatchObject({ code: 4, stderr: expect.stringContaining("did you mean row?") as string });
});

test("refuses a module without a function as its default", async () => {
  const cwd = project({ "producers/nothing.ts": "export const produce = 1;" });
  const { code, stderr } = await millrace(["produce", "nothing"], { cwd, env });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("producers/nothing.ts to export a function") as string });
});

const WAITS = `export default async (_, args, { signal, stdout }) => {
  stdout.write("waits\\n");
  await new Promise((done) => { setInterval(() => {}, 1000); if (!args.includes("deaf")) signal.addEventListener("abort", done); });
  stdout.write("tidied up\\n");
};`;

test("Ctrl-C fires the signal, lets the producer tidy up, and ends with 130", async () => {
  const running = start(["produce", "waits"], { cwd: project({ "producers/waits.js": WAITS }), env });
  await running.says("waits");
  running.kill("SIGINT");
  expect(await running.ended).toEqual({ code: 130, stdout: "waits\ntidied up\n", stderr: "" });
});

test("a second Ctrl-C ends a producer that does not listen", async () => {
  const running = start(["produce", "waits", "deaf"], { cwd: project({ "producers/waits.js": WAITS }), env });
  await running.says("waits");
  running.kill("SIGINT");
  running.kill("SIGTERM");
  const { code, stdout } = await running.ended;
  expect(stdout).toBe("waits\n");
  expect([130, 143]).toContain(code);
});

test("the signal fires when nobody reads its output any more", async () => {
  const cwd = project({
    "producers/endless.js": `export default async (_, __, { signal, stdout }) => {
      while (!signal.aborted) { stdout.write("y\\n"); await new Promise((done) => setTimeout(done, 1)); }
    };`,
  });
  const running = start(["produce", "endless"], { cwd, env });
  await running.says("y");
  running.closeOutput();
  expect(await running.ended).toMatchObject({ code: 141, stderr: "" });
});
