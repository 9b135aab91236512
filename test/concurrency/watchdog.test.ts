import { expect, test } from "vitest";
import { Program, warningsIn } from "./program.ts";

/** What the programs block with; every `// spinning` is where. */
const spin = `
interface Spun { readonly turns: number }
function spin(ms: number): Spun {
  const end = performance.now() + ms;
  let turns = 0;
  while (performance.now() < end) turns += 1; // spinning
  return { turns };
}
const big = JSON.stringify(Array.from({ length: 1_500_000 }, (_, n) => ({ n })));
await sleep(300);
console.log("begins");
`;

const blocked = (stderr: string): string[] => warningsIn(stderr, "BlockedLoopWarning").filter((line) => !line.startsWith("a callback of no task"));

test("a callback that blocks the loop for 100 ms is told with its task, for how long, and the line where it was stuck", async () => {
  const program = new Program(
    `${spin}
    await run(async () => {
      await spawn(async () => {
        await sleep(1);
        spin(150); // calling
      }, { name: "thumbnails" });
      await sleep(30);
    });`,
    { debug: true },
  );
  const { code, stderr } = await program.ended;
  expect(code).toBe(0);
  const [line = "", ...others] = blocked(stderr);
  expect(others).toEqual([]);
  expect(line).toMatch(/^task thumbnails blocked the event loop for 1\d\d ms, stuck at spin \(/);
  expect(line).toContain(program.place("spinning"));
  const frames = stderr.slice(stderr.indexOf(line)).split("\n").slice(1, 3);
  expect(frames).toEqual([expect.stringMatching(/^ {4}at spin \(/), expect.stringContaining(program.place("calling"))]);
});

test("run(main, { debug: true }) tells the same, and stops telling when main has ended", async () => {
  const program = new Program(`${spin}
    await run(async () => {
      await sleep(200); // the watchdog's thread is there
      spin(150);
      await sleep(30);
    }, { debug: true });
    await spawn(async () => spin(150), { name: "afterwards" });
    await sleep(30);`);
  const { stderr } = await program.ended;
  expect(blocked(stderr)).toEqual([expect.stringContaining(`stuck at spin (${program.place("spinning")}`)]);
  expect(blocked(stderr)[0]).toContain("task main blocked");
});

test("run(main, { debug: false }) tells nothing, whatever the environment asks for", async () => {
  const program = new Program(
    `${spin}
    await run(async () => {
      spin(150);
      await sleep(30);
    }, { debug: false });`,
    { debug: true },
  );
  expect(blocked((await program.ended).stderr)).toEqual([]);
});

test("callbacks that block less are not told, however many there are", async () => {
  const program = new Program(
    `${spin}
    for (let turn = 0; turn < 20; turn += 1) {
      await spawn(async () => spin(10), { name: "short" });
      await sleep(1);
    }`,
    { debug: true },
  );
  expect(blocked((await program.ended).stderr)).toEqual([]);
});

test("callbacks that block one after the other are told one by one", async () => {
  const program = new Program(
    `${spin}
    await spawn(async () => {
      spin(110); // first
      await undefined;
      spin(140); // second
    }, { name: "twice" });
    await sleep(30);`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  expect(blocked(stderr)).toHaveLength(2);
  for (const comment of ["first", "second"]) expect(stderr).toContain(program.place(comment));
});

test("is told where it is stuck in a call of Node's own, and in one that waits", async () => {
  const program = new Program(
    `${spin}
    import { pbkdf2Sync } from "node:crypto";
    await spawn(async () => {
      await sleep(1);
      pbkdf2Sync("secret", "salt", 500_000, 64, "sha512"); // hashing
    }, { name: "hash" });
    await sleep(30);
    await spawn(async () => {
      await sleep(1);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); // waiting
    }, { name: "wait" });
    await sleep(30);`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  const [hash = "", wait = ""] = blocked(stderr).filter((line) => !line.startsWith("for"));
  expect(hash).toMatch(/^task hash blocked .* stuck at /);
  expect(hash).toContain(program.place("hashing"));
  expect(wait).toMatch(/^task wait blocked .* stuck at /);
  expect(wait).toContain(program.place("waiting"));
});

test("of a block that leaves no stack, the task is told, and where it awaited last", async () => {
  const program = new Program(
    `${spin}
    const parsing = spawn(async () => {
      await sleep(1); // before
      return JSON.parse(big);
    }, { name: "parse" });
    spawn(async function innocent() {
      await sleep(1);
      return [1].map((n) => n);
    }, { name: "innocent" });
    await parsing;
    await sleep(30);`,
    { debug: true },
  );
  const [line = "", ...others] = blocked((await program.ended).stderr);
  expect(others).toEqual([]);
  expect(line).toMatch(/^task parse blocked the event loop for \d+ ms, in a native call at its end/);
  expect(line).toContain(`after its await at`);
  expect(line).toContain(program.place("before"));
});

test("awaits that never wait keep the loop from turning: told as such", async () => {
  const program = new Program(
    `${spin}
    await spawn(async () => {
      const end = performance.now() + 400;
      while (performance.now() < end) await undefined; // never waiting
    }, { name: "eager" });
    await sleep(30);`,
    { debug: true },
  );
  const [line = ""] = blocked((await program.ended).stderr);
  expect(line).toMatch(/^task eager went from await to await without ever waiting, so the event loop did not turn for \d+ ms/);
  expect(line).toContain(program.place("never waiting"));
});

test("a block that does not end is told while it lasts", async () => {
  const program = new Program(
    `${spin}
    spawn(async () => spin(3_600_000), { name: "endless" });
    await sleep("1h");`,
    { debug: true },
  );
  await program.says("for 2 s and still");
  expect(blocked(program.stderr)).toEqual([1, 2].map((seconds) => expect.stringMatching(`^for ${seconds} s and still, task endless blocks the event loop, stuck at spin \\(`)));
  expect(program.stderr).toContain(program.place("spinning"));
});

test("a process that was stopped for a while did not block", async () => {
  const program = new Program(`${spin}\nawait run(async (signal) => { await sleep("1h", { signal }); });`, { debug: true });
  await program.says("begins");
  program.process.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 400));
  program.process.kill("SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, 300));
  program.process.kill("SIGTERM");
  const { code, stderr } = await program.ended;
  expect([code, blocked(stderr)]).toEqual([143, []]);
});

test("debug mode does not hold the process", async () => {
  const startedAt = performance.now();
  expect((await new Program(`await run(async () => 1);`, { debug: true }).ended).code).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});
