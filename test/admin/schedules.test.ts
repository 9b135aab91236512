import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { listSchedules, pauseSchedule, putSchedule, removeSchedule, resumeSchedule, runSchedule } from "../../src/admin/schedules.ts";
import { NotFoundError, OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("lists the schedules of stock BullMQ and ours alike, what is due next first", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix, "mail");
  await stock.upsertJobScheduler("daily", { pattern: "0 7 * * *", tz: "Europe/Zurich" }, { name: "digest", data: { to: "all" }, opts: { attempts: 4 } });
  const put = await putSchedule(operator, "files", "sweep", { name: "sweep", every: "30s", payload: { dir: "/tmp" } });
  expect(put).toMatchObject({ queue: "files", id: "sweep", name: "sweep", everyMs: 30_000, paused: false, payload: { dir: "/tmp" } });
  expect(await listSchedules(operator)).toMatchObject([
    { queue: "files", id: "sweep", cron: undefined, everyMs: 30_000 },
    { queue: "mail", id: "daily", name: "digest", cron: "0 7 * * *", tz: "Europe/Zurich", paused: false, payload: { to: "all" }, options: { attempts: 4 } },
  ]);
  expect((await listSchedules(operator, "mail")).map(({ id }) => id)).toEqual(["daily"]);
  expect(await stockQueue(operator.prefix, "files").getJobSchedulers()).toMatchObject([{ key: "sweep", name: "sweep", every: 30_000 }]);
  expect(await listSchedules(testOperator())).toEqual([]);
});

test("a paused schedule puts nothing and is kept; it goes on as it was; all of it stands in the trail", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.upsertJobScheduler("tick", { every: 3_600_000 }, { name: "tick", data: { n: 1 }, opts: { attempts: 2 } });
  const before = await listSchedules(operator, "work");
  expect(await pauseSchedule(operator, "work", "tick")).toMatchObject({ paused: true, nextAt: undefined, everyMs: 3_600_000 });
  expect([await stock.getJobSchedulersCount(), await stock.getDelayedCount()]).toEqual([0, 0]);
  await expect(pauseSchedule(operator, "work", "tick")).rejects.toThrow(StateError);
  expect(await resumeSchedule(operator, "work", "tick")).toMatchObject({ paused: false, payload: { n: 1 }, options: { attempts: 2 }, everyMs: 3_600_000 });
  await expect(resumeSchedule(operator, "work", "tick")).rejects.toThrow(StateError);
  expect(await stock.getJobSchedulers()).toMatchObject([{ key: "tick", name: "tick", every: 3_600_000, template: { data: { n: 1 }, opts: { attempts: 2 } } }]);
  expect(await removeSchedule(operator, "work", "tick")).toEqual({ queue: "work", schedule: "tick" });
  expect([await listSchedules(operator, "work"), await stock.getDelayedCount()]).toEqual([[], 0]);
  expect(before).toHaveLength(1);
  expect((await all(audit(operator))).map(({ command, target, outcome }) => `${command} ${target} ${outcome}`)).toEqual([
    "schedule pause work/tick done", "schedule pause work/tick failed", "schedule resume work/tick done", "schedule resume work/tick failed", "schedule remove work/tick done",
  ]);
});

test("a run now is a job of its own, which a stock worker runs; what is planned stays planned", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await putSchedule(operator, "work", "yearly", { name: "report", cron: "0 0 1 1 *", tz: "UTC", payload: { year: 1 } });
  const [before] = await listSchedules(operator, "work");
  const { id } = await runSchedule(operator, "work", "yearly");
  const ran: unknown[] = [];
  await stockWorker(operator.prefix, async (job) => void ran.push([job.id, job.name, job.data]));
  await until(() => ran.length === 1);
  expect(ran).toEqual([[id, "report", { year: 1 }]]);
  expect(await listSchedules(operator, "work")).toEqual([before]);
  expect(await stock.getDelayedCount()).toBe(1);
});

test("refuses what is none before any I/O, and a schedule that is not there", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  const wrong = [{}, { name: "n" }, { name: "n", cron: "* * * * *", every: "1s" }, { name: "n", cron: "99 * * * *" }, { name: "n", cron: "* * * * *", tz: "Moon" }, { name: "n", every: 10 }, { name: "n", every: "1m", tz: "UTC" }, { name: "n", every: "1m", payload: () => 1 }];
  for (const schedule of wrong) await expect(putSchedule(nowhere, "work", "id", schedule as never), JSON.stringify(schedule)).rejects.toThrow(OptionError);
  await expect(putSchedule(nowhere, "work", "a:b", { name: "n", every: "1m" })).rejects.toThrow(OptionError);
  await expect(putSchedule(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work", "id", { name: "n", every: "1m" })).rejects.toThrow(ReadOnlyError);
  const operator = testOperator();
  await putSchedule(operator, "work", "daily", { name: "n", every: "1d" });
  await expect(removeSchedule(operator, "work", "dialy")).rejects.toThrow("did you mean daily?");
  await expect(listSchedules(operator, "wrok")).rejects.toThrow(NotFoundError);
});
