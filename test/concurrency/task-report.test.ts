import { expect, test } from "vitest";
import { Event } from "../../src/concurrency/event.ts";
import { taskReport } from "../../src/concurrency/task-report.ts";
import { spawn } from "../../src/concurrency/task.ts";

test("tells of each task that lives: its name, its parent, its age, whether it is to end", async () => {
  const begun = new Event();
  const released = new Event();
  const parent = spawn(
    async () => {
      const child = spawn(
        async () => {
          begun.set();
          await released.wait();
        },
        { name: "child" },
      );
      await child;
    },
    { name: "parent" },
  );
  await begun.wait();
  const report = taskReport();
  const of = (name: string) => report.tasks.find((task) => task.name === name);
  expect(report).toMatchObject({ pid: process.pid, debug: false });
  expect(of("parent")).toMatchObject({ parent: null, cancelling: false, waitsAt: null });
  expect(of("child")).toMatchObject({ parent: of("parent")!.id, cancelling: false });
  expect(of("child")!.ageMs).toBeGreaterThanOrEqual(0);

  parent.cancel();
  expect(taskReport().tasks.find((task) => task.name === "parent")).toMatchObject({ cancelling: true });
  released.set();
  await Promise.allSettled([parent]);
  expect(taskReport().tasks.filter((task) => task.name === "parent" || task.name === "child")).toEqual([]);
});
