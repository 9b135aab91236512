import { expect, onTestFinished, test } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { millrace, project, start } from "../support/command.ts";

test("start, status, url and stop: a server of this folder's own, and its jobs are still there afterwards", async (context) => {
  if ((await findServer()) === undefined) context.skip("no server program here");
  const cwd = project({});
  const run = (...args: string[]): ReturnType<typeof millrace> => millrace(args, { cwd });
  onTestFinished(() => run("redis", "stop", "--force").then(() => undefined));

  expect(await run("redis", "status", "--json")).toMatchObject({ code: 4, stderr: "" });
  expect(await run("redis", "url")).toMatchObject({ code: 4, stdout: "" });

  const started = await run("redis", "start", "--json");
  expect(started.code).toBe(0);
  expect(JSON.parse(started.stdout)).toEqual({ state: "running", url: expect.stringMatching(/^unix:/), dir: `${cwd}/.millrace`, pid: expect.any(Number), users: 0, stays: true } as object);
  const url = (await run("redis", "url")).stdout.trim();
  expect(url).toBe((JSON.parse(started.stdout) as { url: string }).url);

  // Commands find it by themselves, and others through its address.
  const put = ["put", "--queue", "q", "--name", "n", "--unchecked", "1"];
  expect(await run(...put)).toMatchObject({ code: 0, stderr: "" });
  expect((await millrace([...put, "--redis", url])).code).toBe(0);
  expect((await run("redis", "stop")).stdout).toBe("stopped\n");
  expect((await run("redis", "status")).code).toBe(4);

  expect((await run("redis", "start")).code).toBe(0);
  const { code, stderr } = await run("join", "q", "--timeout", "1ms");
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("q") as string });
});

test("stop leaves a server that is in use, and says so", async (context) => {
  if ((await findServer()) === undefined) context.skip("no server program here");
  const cwd = project({ "producers/hold.ts": 'export default async (app, _, { signal }) => { await app.ready(); console.log("holds"); await new Promise((done) => signal.addEventListener("abort", done)); };' });
  const holder = start(["--redis", "embedded", "produce", "hold"], { cwd });
  await holder.says("holds");
  const { code, stdout } = await millrace(["redis", "stop", "--json"], { cwd });
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({ state: "running", users: 1 });
  holder.kill("SIGINT");
  expect((await holder.ended).code).toBe(130);
  expect((await millrace(["redis", "status"], { cwd })).code).toBe(4);
});

test("ensure prints the server program that is there", async (context) => {
  const program = await findServer();
  if (program === undefined) context.skip("no server program here");
  const { code, stdout } = await millrace(["redis", "ensure", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(program);
});
