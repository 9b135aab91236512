import { expect, test } from "vitest";
import { Program, warningsIn } from "./program.ts";

const gc = { debug: true, flags: ["--expose-gc"] };
/** Collects garbage until a warning of that name has been given. */
const collect = (name: string): string => `
  await new Promise<void>((resolve) => {
    process.on("warning", (warning) => warning.name === "${name}" && resolve());
    const collecting = setInterval(() => gc(), 5);
    process.on("warning", (warning) => warning.name === "${name}" && clearInterval(collecting));
  });
  await sleep(20);
`;

test("a task is lost while pending when nothing is left that could settle what it awaits: told with both places", async () => {
  const program = new Program(
    `
    const kept: (() => void)[] = [];
    (() => {
      spawn(async () => { // spawned
        await sleep(1);
        await new Promise(() => {}); // waiting
      }, { name: "forgotten" });
      spawn(async () => {
        await new Promise<void>((resolve) => kept.push(resolve));
      }, { name: "can be settled" });
      spawn(async () => sleep("1h"), { name: "asleep" });
    })();
    await sleep(10);
    ${collect("LostTaskWarning")}
    process.exit(kept.length);`,
    gc,
  );
  const { stderr } = await program.ended;
  const [line = "", ...others] = warningsIn(stderr, "LostTaskWarning");
  expect(others).toEqual([]);
  expect(line).toMatch(/^task forgotten is lost while pending: it waits at .* for what nothing can settle any more, spawned at /);
  expect(line).toContain(program.place("waiting"));
  expect(line).toContain(program.place("spawned"));
});

test("when the loop is empty, every task that is pending is lost, though its promise is still held", async () => {
  const program = new Program(
    `
    const kept: (() => void)[] = [];
    spawn(async () => {
      await new Promise<void>((resolve) => kept.push(resolve)); // waiting
    }, { name: "stuck" });`,
    { debug: true },
  );
  const { code, stderr } = await program.ended;
  expect(code).toBe(0);
  expect(warningsIn(stderr, "LostTaskWarning")).toEqual([expect.stringContaining(program.place("waiting"))]);
});

test("a task that ended is not lost", async () => {
  const program = new Program(
    `
    await gather([1, 2, 3].map((n) => spawn((signal) => sleep(n, { signal }))));
    spawn((signal) => sleep("1h", { signal })).cancel();
    await sleep(1);
    for (let turn = 0; turn < 20; turn += 1) {
      gc();
      await sleep(1);
    }`,
    gc,
  );
  expect(warningsIn((await program.ended).stderr, "LostTaskWarning")).toEqual([]);
});

test("a task that completed and was never awaited is told once it is garbage, with where it was spawned; no other is", async () => {
  const program = new Program(
    `
    const give = async () => 1;
    await (async () => {
      spawn(give, { name: "dropped" }); // spawned
      await spawn(give, { name: "awaited" });
      const later = spawn(give, { name: "awaited later" });
      const looked = spawn(give, { name: "looked at" });
      spawn(give, { name: "followed" }).onDone(() => undefined);
      const followed = spawn(give, { name: "followed later" });
      await gather([spawn(give, { name: "gathered" })]);
      await taskGroup(async (group) => group.spawn(give, { name: "of a group" }));
      spawn((signal) => sleep("1h", { signal }), { name: "cancelled" }).cancel();
      await sleep(5);
      await later;
      followed.onDone(() => undefined);
      if (looked.settled?.status !== "fulfilled") throw new Error("expected it to be done");
    })();
    ${collect("UnawaitedTaskWarning")}`,
    gc,
  );
  const { stderr } = await program.ended;
  expect(warningsIn(stderr, "UnawaitedTaskWarning")).toEqual([expect.stringMatching(/^task dropped has ended and nobody awaited it, spawned at /)]);
  expect(stderr).toContain(program.place("spawned"));
});

test("a task that still runs when main has ended is told, and so is none that main awaited", async () => {
  const program = new Program(
    `await run(async () => {
      spawn((signal) => sleep("1h", { signal }), { name: "left behind" }); // spawned
      await spawn(async () => undefined, { name: "awaited" });
      await sleep(1);
    });`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  const told = warningsIn(stderr, "UnawaitedTaskWarning");
  expect(told).toEqual([expect.stringMatching(/^task left behind still ran when main had ended, which did not await it, spawned at /)]);
  expect(told[0]).toContain(program.place("spawned"));
});

test("a task that was spawned in a group, but not by it, and still runs when the group has ended is told; none that somebody awaits is", async () => {
  const program = new Program(
    `
    const nap = (signal: AbortSignal) => sleep("1h", { signal });
    await run(async () => {
      spawn(nap, { name: "of main" });
      await taskGroup(async (group) => {
        spawn(nap, { name: "in the body" }); // spawned in the body
        spawn(nap, { name: "awaited" }).then(() => undefined, () => undefined);
        spawn(nap, { name: "followed" }).onDone(() => undefined);
        group.spawn(async () => {
          await toolkit.timeout("1m", async () => {
            spawn(nap, { name: "in a child" });
            await spawn(async () => undefined, { name: "ended" });
          });
        }, { name: "child" });
      });
      await sleep(1);
      process.exit();
    });`,
    { debug: true },
  );
  const { stderr } = await program.ended;
  const told = warningsIn(stderr, "UnawaitedTaskWarning");
  expect(told.map((line) => line.replace(/, spawned at .*/, ""))).toEqual([
    "task in the body still ran when the task group around it had ended, which did not await it",
    "task in a child still ran when the task group around it had ended, which did not await it",
  ]);
  expect(told[0]).toContain(program.place("spawned in the body"));
});

test("an error that nobody looked at is told with where its task was spawned", async () => {
  const program = new Program(
    `
    (() => {
      spawn(async () => { throw new RangeError("no"); }, { name: "failing" }); // spawned
    })();
    ${collect("UnseenTaskError")}`,
    gc,
  );
  const { stderr } = await program.ended;
  expect(warningsIn(stderr, "UnseenTaskError")).toEqual([expect.stringMatching(/^task failing, spawned at .* failed and nobody looked at its error: RangeError: no/)]);
  expect(stderr).toContain(program.place("spawned"));
});

test("without debug mode nothing of all this is told", async () => {
  const program = new Program(
    `
    const give = async () => 1;
    (() => {
      spawn(give, { name: "dropped" });
      spawn(async () => { await new Promise(() => {}); }, { name: "forgotten" });
    })();
    await sleep(1);
    for (let turn = 0; turn < 20; turn += 1) {
      gc();
      await sleep(1);
    }`,
    { flags: ["--expose-gc"] },
  );
  expect(await program.ended).toMatchObject({ code: 0, stderr: "" });
});
