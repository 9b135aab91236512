import { type ChildProcess, spawn as spawnProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { OptionError, StateError } from "../../src/errors.ts";
import { run } from "../../src/concurrency/run.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { allTasks, currentTask, spawn } from "../../src/concurrency/task.ts";
import { project } from "../support/command.ts";
import { rejection } from "./settlement.ts";

const toolkit = JSON.stringify(new URL("../../src/concurrency/index.ts", import.meta.url).href);

/** Runs the body of a main function in a process of its own. */
class Program {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  errors = "";
  readonly #closed: Promise<unknown>;

  /** @param npmCommand  what npm tells its scripts; undefined when there is no npm */
  constructor(main: string, npmCommand?: string) {
    const source = `import { run, shield, sleep, spawn } from ${toolkit};
      const value = await run(async (signal) => { ${main} });
      console.log("run gave", value);`;
    this.process = spawnProcess(process.execPath, ["--input-type=module", "-e", source], {
      env: { ...process.env, npm_command: npmCommand },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#closed = once(this.process, "close");
    this.process.stderr?.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.lines.push(line);
      this.process.emit("printed");
    });
  }

  async printed(line: string): Promise<void> {
    while (!this.lines.includes(line)) await once(this.process, "printed");
  }

  async ended(): Promise<{ code: number | null; lines: string[]; errors: string }> {
    await this.#closed;
    return { code: this.process.exitCode, lines: this.lines, errors: this.errors };
  }
}

test("gives what main gives, and takes its handlers away", async () => {
  const before = process.listenerCount("SIGINT") + process.listenerCount("SIGTERM");
  const seen = await run(async (signal) => {
    expect(process.listenerCount("SIGINT") + process.listenerCount("SIGTERM")).toBe(before + 2);
    return [currentTask()?.name, signal.aborted];
  });
  expect(seen).toEqual(["main", false]);
  expect(process.listenerCount("SIGINT") + process.listenerCount("SIGTERM")).toBe(before);
});

test("throws what main throws", async () => {
  const error = new RangeError("no");
  expect(await rejection(run(() => Promise.reject(error)))).toBe(error);
});

test("cancels the tasks that are left when main ends, those they start meanwhile too, and awaits them", async () => {
  const order: string[] = [];
  await run(async () => {
    spawn((signal) =>
      sleep("1h", { signal }).finally(async () => {
        spawn((inner) => sleep("1h", { signal: inner }).finally(() => order.push("second")));
        await sleep(1);
        order.push("first");
      }),
    );
    await sleep(1);
  });
  expect(order).toEqual(["first", "second"]);
  expect(allTasks()).toEqual([]);
});

test("refuses a second run at the same time, and what is no function", async () => {
  const error = await run(async () => rejection(run(async () => 1)));
  expect(error).toBeInstanceOf(StateError);
  expect(await rejection(run(Promise.resolve() as never))).toBeInstanceOf(OptionError);
  expect(await rejection(run(async () => 1, { debgu: true } as never))).toMatchObject({ message: expect.stringContaining("did you mean debug") as unknown });
  expect(await run(async () => "again")).toBe("again");
});

test.each([["SIGINT", 130], ["SIGTERM", 143]] as const)("the first %s cancels main, which cleans up, and the process exits with %i", async (signal, code) => {
  const program = new Program(`
    console.log("started");
    try { await sleep("1h", { signal }); } finally { await sleep(10); console.log("cleaned up", signal.reason.message); }
  `);
  await program.printed("started");
  program.process.kill(signal);
  expect(await program.ended()).toEqual({ code, lines: ["started", `cleaned up received ${signal}`], errors: "" });
});

test("a main that ends well after the signal ends the program well", async () => {
  const program = new Program(`
    console.log("started");
    await sleep("1h", { signal }).catch(() => undefined);
    return "in order";
  `);
  await program.printed("started");
  program.process.kill("SIGINT");
  expect(await program.ended()).toEqual({ code: 0, lines: ["started", "run gave in order"], errors: "" });
});

test("the second signal leaves at once, whatever main is doing", async () => {
  const program = new Program(`
    console.log("started");
    await sleep("1h", { signal }).catch(() => console.log("refusing"));
    await sleep("1h");
  `);
  await program.printed("started");
  program.process.kill("SIGTERM");
  await program.printed("refusing");
  program.process.kill("SIGINT");
  expect(await program.ended()).toMatchObject({ code: 130, lines: ["started", "refusing"] });
});

test("under npm one Ctrl-C may come twice, and cancels main once", async ({ skip }) => {
  if (spawnSync("bash", ["-c", ":"]).status !== 0) skip("no bash: npm's own shell may keep its signal to itself");
  const folder = project({
    "package.json": JSON.stringify({ type: "module", scripts: { main: `node -C millrace-source main.ts` } }),
    "main.ts": `import { run, sleep } from "millrace/concurrency";
      process.on("SIGINT", () => console.log("heard"));
      await run(async (signal) => {
        console.log("started");
        try { await sleep("1h", { signal }); } finally { await sleep(500); console.log("cleaned up"); }
      });`,
  });
  const npm = spawnProcess("npm", ["run", "--silent", "--script-shell=bash", "main"], { cwd: folder, detached: true, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  npm.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    if (chunk.toString().includes("started")) process.kill(-(npm.pid ?? 0), "SIGINT");
  });
  const [code] = (await once(npm, "close")) as [number | null];
  expect(printed).toMatch(/^started\n(heard\n){1,2}cleaned up\n$/);
  expect(code).toBe(130);
});

test.each([["run", "SIGINT", "SIGINT", 0], ["run", "SIGTERM", "SIGINT", 130], ["run", "SIGTERM", "SIGTERM", 143], [undefined, "SIGINT", "SIGINT", 130]] as const)(
  "with npm_command=%s, %s and at once %s end the process with %i",
  async (npmCommand, first, second, code) => {
    const program = new Program(
      `for (const name of ["${first}", "${second}"]) process.emit(name, name);
      await sleep("1h", { signal }).catch(() => undefined);`,
      npmCommand,
    );
    expect((await program.ended()).code).toBe(code);
  },
);

test("a main that fails ends the process with its error and 1", async () => {
  const { code, errors } = await new Program(`throw new RangeError("went wrong");`).ended();
  expect(code).toBe(1);
  expect(errors).toContain("RangeError: went wrong");
});

test("tells of tasks that fail while the program ends", async () => {
  const { code, lines, errors } = await new Program(`
    spawn((inner) => sleep("1h", { signal: inner }).catch(() => { throw new RangeError("in cleaning up"); }), { name: "left over" });
    await sleep(1);
    return 1;
  `).ended();
  expect([code, lines]).toEqual([0, ["run gave 1"]]);
  expect(errors).toContain("task left over failed while the program ended:");
  expect(errors).toContain("RangeError: in cleaning up");
});
