import { expect, test } from "vitest";
import { Program, warningsIn } from "./program.ts";

/**
 * What the programs block with. Where a machine is busy, the watchdog's thread may come too late to see where: so a
 * program blocks again until it has been told a place.
 */
const prelude = `
interface Spun { readonly turns: number }
function spin(ms: number): Spun {
  const end = performance.now() + ms;
  let turns = 0;
  while (performance.now() < end) turns += 1; // spinning
  return { turns };
}
const told: string[] = [];
process.on("warning", ({ name, message }) => void (name === "BlockedLoopWarning" && told.push(message)));
async function untilTold(pattern: RegExp, block: () => Promise<unknown>): Promise<void> {
  while (!told.some((message) => pattern.test(message))) {
    await block();
    await sleep(50);
  }
}
`;
const timeout = 60_000;

const blocked = (stderr: string, task: string): string[] => warningsIn(stderr, "BlockedLoopWarning").filter((line) => line.startsWith(`task ${task} `));
/** The second where the machine was so busy that the answer came late. */
const stuckAt = String.raw`(stuck at|in a native call at or just before)`;

test("a callback that blocks the loop for 100 ms is told with its task, for how long, and the line where it was stuck", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    await run(async () => {
      await untilTold(/thumbnails .*spin/, () => spawn(async () => {
        await sleep(1);
        spin(200); // calling
      }, { name: "thumbnails" }));
    });`,
    { debug: true },
  );
  const { code, stderr } = await program.ended;
  expect(code).toBe(0);
  const line = blocked(stderr, "thumbnails").at(-1) ?? "";
  expect(line).toMatch(new RegExp(`^task thumbnails blocked the event loop for \\d{3} ms, ${stuckAt} spin \\(`));
  expect(line).toContain(program.place("spinning"));
  const frames = stderr.slice(stderr.indexOf(line)).split("\n").slice(1, 3);
  expect(frames).toEqual([expect.stringMatching(/^ {4}at spin \(/), expect.stringContaining(program.place("calling"))]);
});

test("one that is switched on in the middle of a callback does not count from when the process began", async () => {
  const { setDebug } = await import("../../src/concurrency/debug.ts");
  expect(performance.now()).toBeGreaterThan(100); // what was told before was that
  const told: string[] = [];
  const tells = ({ name, message }: Error): void => void (name === "BlockedLoopWarning" && told.push(message));
  process.on("warning", tells);
  using debug = await new Promise<Disposable>((resolve) => setTimeout(() => resolve(setDebug(true)), 1));
  await new Promise((resolve) => setTimeout(resolve, 50)); // it tells by a timer every 10 ms
  process.off("warning", tells);
  debug[Symbol.dispose]();
  expect(told).toEqual([]);
});

test("run(main, { debug: true }) tells the same, and stops telling when main has ended", { timeout }, async () => {
  const program = new Program(`${prelude}
    await run(() => untilTold(/inside .*spin/, () => spawn(async () => spin(200), { name: "inside" })), { debug: true });
    await spawn(async () => spin(500), { name: "afterwards" });
    await sleep(50);`);
  const { stderr } = await program.ended;
  expect(blocked(stderr, "inside").at(-1)).toContain(program.place("spinning"));
  expect(stderr).not.toContain("afterwards");
});

test("run(main, { debug: false }) tells nothing, whatever the environment asks for", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    await run(async () => {
      await spawn(async () => spin(500), { name: "inside" });
      await sleep(50);
    }, { debug: false });`,
    { debug: true },
  );
  expect(blocked((await program.ended).stderr, "inside")).toEqual([]);
});

test("tells of each callback that took 100 ms, and for how long; of none that took less", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    const took: Record<string, number> = {};
    for (const ms of [10, 110, 20, 150, 30, 100]) {
      await spawn(async () => {
        const startedAt = performance.now();
        spin(ms);
        took[ms] = performance.now() - startedAt;
      }, { name: \`spinner-\${ms}\` });
      await sleep(20);
    }
    console.log(JSON.stringify(took));`,
    { debug: true },
  );
  const { stdout, stderr } = await program.ended;
  const took = JSON.parse(stdout) as Record<string, number>;
  for (const ms of [110, 150, 100]) {
    const told = blocked(stderr, `spinner-${ms}`).map((line) => Number(/for (\d+) ms/.exec(line)?.[1]));
    expect(told).toHaveLength(1);
    // What surrounds the spinning counts as well.
    expect(Math.abs((told[0] ?? 0) - (took[ms] ?? 0))).toBeLessThan(100);
  }
  // On a busy machine a short one may take long.
  for (const ms of [10, 20, 30]) if ((took[ms] ?? 0) < 60) expect(blocked(stderr, `spinner-${ms}`)).toEqual([]);
});

test("callbacks that block right one after the other are told one by one, each with its line", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    const twice = () => spawn(async () => {
      spin(200);
      await undefined;
      (function second() {
        const end = performance.now() + 200;
        while (performance.now() < end); // in second
      })();
    }, { name: "twice" });
    await untilTold(/twice .*spin /, twice);
    await untilTold(/twice .*second /, twice);`,
    { debug: true },
  );
  const { code, stderr } = await program.ended;
  expect(code).toBe(0);
  const lines = blocked(stderr, "twice");
  expect(lines.some((line) => line.includes(`spin (${program.place("spinning")}`))).toBe(true);
  expect(lines.some((line) => line.includes(`second (${program.place("in second")}`))).toBe(true);
});

test("is told where it is stuck in a call of Node's own, and in one that waits", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    import { pbkdf2Sync } from "node:crypto";
    await untilTold(/hash .* stuck at .*program/, () => spawn(async () => {
      await sleep(1);
      pbkdf2Sync("secret", "salt", 300_000, 64, "sha512"); // hashing
    }, { name: "hash" }));
    await untilTold(/wait .* ${stuckAt} .*program/, () => spawn(async () => {
      await sleep(1);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); // waiting
    }, { name: "wait" }));`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  expect(blocked(stderr, "hash").at(-1)).toMatch(/^task hash blocked .* stuck at /);
  expect(blocked(stderr, "hash").at(-1)).toContain(program.place("hashing"));
  expect(blocked(stderr, "wait").at(-1)).toMatch(new RegExp(`^task wait blocked .* ${stuckAt} `));
  expect(blocked(stderr, "wait").at(-1)).toContain(program.place("waiting"));
});

test("of a block that leaves no stack, the task is told, and where it awaited last", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    const big = JSON.stringify(Array.from({ length: 800_000 }, (_, n) => ({ n })));
    await untilTold(/parse .*at its end/, async () => {
      const parsing = spawn(async () => {
        await sleep(1); // before
        return JSON.parse(big);
      }, { name: "parse" });
      const other = spawn(async function innocent() {
        await sleep(1);
        return [1].map((n) => n);
      }, { name: "innocent" });
      await gather([parsing, other]);
    });`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  const line = blocked(stderr, "parse").at(-1) ?? "";
  expect(line).toMatch(/^task parse blocked the event loop for \d+ ms, in a native call at its end, of which no stack is left, after its await at /);
  expect(line).toContain(program.place("before"));
  expect(blocked(stderr, "innocent").filter((other) => other.includes("at its end"))).toEqual([]);
});

test("awaits that never wait keep the loop from turning: told as such", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    await untilTold(/eager went from/, () => spawn(async () => {
      const end = performance.now() + 400;
      while (performance.now() < end) await undefined; // never waiting
    }, { name: "eager" }));`,
    { debug: true },
  );
  const line = blocked((await program.ended).stderr, "eager").find((each) => each.includes("went from")) ?? "";
  expect(line).toMatch(/^task eager went from await to await without ever waiting, so the event loop did not turn for \d+ ms/);
  expect(line).toContain(program.place("never waiting"));
});

test("a block that does not end is told while it lasts", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    spawn(async () => spin(3_600_000), { name: "endless" });
    await sleep("1h");`,
    { debug: true },
  );
  await program.says("task endless blocks the event loop");
  await program.says(program.place("spinning"));
  const line = warningsIn(program.stderr, "BlockedLoopWarning").find((each) => each.includes("endless")) ?? "";
  expect(line).toMatch(new RegExp(`^for \\d+ s and still, task endless blocks the event loop, ${stuckAt} spin \\(`));
});

test("a process that was stopped while it waited did not block", { timeout }, async () => {
  const program = new Program(
    `${prelude}
    await run(async (signal) => {
      console.log("waits");
      await sleep("1h", { signal }).catch(() => undefined);
      await sleep(300);
      console.log(JSON.stringify(told));
    });`,
    { debug: true },
  );
  await program.says("waits");
  program.process.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  program.process.kill("SIGCONT");
  program.process.kill("SIGTERM");
  const { stdout, stderr } = await program.ended;
  expect(stdout).toContain("[");
  expect(blocked(stderr, "main").filter((line) => line.includes("stuck"))).toEqual([]);
});

test("debug mode does not hold the process, nor is it heard of when that exits", { timeout }, async () => {
  expect((await new Program(`await run(async () => 1);`, { debug: true }).ended).code).toBe(0);
  // As long as it takes for the watchdog's thread to look; and an exit that takes long itself.
  const { code, stderr } = await new Program(
    `await sleep(500);
    process.on("exit", () => {
      const end = performance.now() + 1500;
      while (performance.now() < end);
    });
    process.exit(3);`,
    { debug: true },
  ).ended;
  expect(code).toBe(3);
  expect(stderr).not.toMatch(/debugger|and still/);
});
