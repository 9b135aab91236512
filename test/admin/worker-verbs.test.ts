import { expect, onTestFinished, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import type { Operator } from "../../src/admin/operator.ts";
import {
  dumpWorkers,
  pingWorkers,
  profileWorkers,
  quietWorkers,
  restartWorkers,
  resumeWorkers,
  scaleWorkers,
  setWorkerDebug,
  setWorkerLogLevel,
  stopWorkers,
} from "../../src/admin/worker-verbs.ts";
import { listWorkers } from "../../src/admin/workers.ts";
import { register } from "../../src/control/registry.ts";
import { createLog } from "../../src/log.ts";
import { connect, defineHandler, defineJob, type Pool } from "../../src/index.ts";
import { failure } from "../support/outcome.ts";
import { redisUrl } from "../support/redis.ts";
import { stockQueue } from "../interop/stock.ts";
import { entryOf } from "../control/control.ts";
import { until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

/** Two pools that run the jobs of a queue which stock BullMQ feeds; each holds its jobs until it is let go. */
async function working(): Promise<{ operator: Operator; one: Pool; other: Pool; open: () => void }> {
  const operator = testOperator();
  const app = connect({ redis: redisUrl(), prefix: operator.prefix, log: createLog({ level: "silent", stream: { write: () => undefined } }) });
  onTestFinished(() => app[Symbol.asyncDispose]());
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  const handler = defineHandler(defineJob("n", { queue: "work" }), { handle: () => gate.promise });
  const [one, other] = [app.pool([handler], { name: "one", concurrency: 1 }), app.pool([handler], { name: "other", concurrency: 1 })];
  await until(async () => (await listWorkers(operator)).length === 2);
  return { operator, one, other, open: gate.resolve };
}

test("quiet, resume, scale and stop have their effect on a queue that stock BullMQ feeds, and stand in the trail", async () => {
  const { operator, one, other, open } = await working();
  const stock = stockQueue(operator.prefix);
  const quieted = await quietWorkers(operator, "all");
  expect(quieted).toEqual({ answers: [one, other].map(({ id }, i) => ({ id, name: ["one", "other"][i], value: { state: "quiet", running: 0 } })), refused: [], unanswered: [] });
  await stock.addBulk(Array.from({ length: 5 }, () => ({ name: "n", data: {} })));
  for (let look = 0; look < 20; look += 1) expect(await stock.getJobCounts("waiting", "active")).toEqual({ waiting: 5, active: 0 });
  expect((await resumeWorkers(operator, ["one"])).answers).toMatchObject([{ name: "one", value: { state: "ready" } }]);
  await until(async () => (await stock.getActiveCount()) === 1);
  expect((await scaleWorkers(operator, [one.id.slice(0, 7)], 3)).answers).toMatchObject([{ value: { from: 1, to: 3, usable: 3 } }]);
  await until(async () => (await stock.getActiveCount()) === 3);
  open();
  await until(async () => (await stock.getJobCountByTypes("waiting", "active")) === 0);
  expect((await stopWorkers(operator, ["one"], { wait: "20s" })).answers).toMatchObject([{ value: { ends: "pool" } }]);
  expect((await listWorkers(operator)).map(({ name, state }) => [name, state])).toEqual([["other", "quiet"]]);
  expect(await all(audit(operator))).toMatchObject([
    { command: "worker quiet", target: `${one.id} (one), ${other.id} (other)`, details: '{"asked":"all"}', outcome: "done", touched: 2 },
    { command: "worker resume", target: `${one.id} (one)`, details: '{"asked":"one"}', touched: 1 },
    { command: "worker scale", target: `${one.id} (one)`, details: `{"asked":"${one.id.slice(0, 7)}","concurrency":3}`, touched: 1 },
    { command: "worker stop", target: `${one.id} (one)`, touched: 1 },
  ]);
});

test("looks at what they do, and changes nothing", async () => {
  const { operator, one } = await working();
  expect((await pingWorkers(operator, ["one"])).answers).toEqual([{ id: one.id, name: "one", value: { state: "ready", running: 0 } }]);
  expect((await dumpWorkers(operator, ["one"])).answers).toMatchObject([{ value: { pool: { id: one.id }, tasks: [] } }]);
  const [profiled] = (await profileWorkers(operator, ["one"], 0.1)).answers;
  expect(Object.keys(JSON.parse(profiled?.value ?? "{}") as object)).toContain("samples");
  expect(await all(audit(operator))).toEqual([]);
});

test("names who refuses and who does not answer", async () => {
  const { operator, one } = await working();
  await register(operator.connections, entryOf("dead5555"), []);
  expect(await restartWorkers(operator, ["one", "dead5555"])).toMatchObject({
    answers: [],
    refused: [{ id: one.id, name: "one", error: { code: "STATE_INVALID" } }],
    unanswered: [{ id: "dead5555", name: "name-dead5555" }],
  });
});

test("the trail names whom it touched, and beside them who refused and who did not answer; where nobody runs, what was asked", async () => {
  const { operator, one } = await working();
  await restartWorkers(operator, ["one"]);
  await register(operator.connections, entryOf("dead5555"), []);
  await restartWorkers(operator, "all");
  await quietWorkers(operator, [one.id, "dead5555"]);
  const nobody = testOperator();
  await quietWorkers(nobody, "all");
  const [refused, restarted, quieted] = await all(audit(operator));
  expect(refused).toMatchObject({ target: "one", touched: 0, outcome: "failed", error: expect.stringContaining(`STATE_INVALID: ${one.id} (one) refused: `) as string });
  expect(restarted).toMatchObject({ target: "all", touched: 0, outcome: "failed", error: expect.stringMatching(/^TIMEOUT: no answer from dead5555 \(name-dead5555\); \w+ \((one|other)\) refused: .*; \w+ \((one|other)\) refused: /) as string });
  // In no order: they began in the same moment.
  const refusedBy = expect.arrayContaining([`${one.id} (one)`, expect.stringContaining("(other)")]) as unknown;
  expect(JSON.parse(restarted!.details)).toEqual({ asked: "all", refused: refusedBy, unanswered: ["dead5555 (name-dead5555)"] });
  expect(quieted).toMatchObject({ target: `${one.id} (one)`, touched: 1, outcome: "failed", error: "TIMEOUT: no answer from dead5555 (name-dead5555)", details: expect.stringContaining('"unanswered":["dead5555 (name-dead5555)"]') as string });
  expect(await all(audit(nobody))).toMatchObject([{ target: "all", touched: 0, outcome: "done" }]);
});

test("sets the level of their logs", async () => {
  const { operator } = await working();
  expect((await setWorkerLogLevel(operator, ["other"], "debug")).answers).toMatchObject([{ value: { from: "silent", to: "debug" } }]);
});

test("switches debug mode of their processes on and off", async () => {
  const { operator, one } = await working();
  expect((await setWorkerDebug(operator, ["one"], true)).answers).toEqual([{ id: one.id, name: "one", value: { from: false, to: true } }]);
  expect((await dumpWorkers(operator, "all")).answers.map(({ value }) => value.debug)).toEqual([true, true]);
  // Both are of this process.
  expect((await setWorkerDebug(operator, "all", false)).answers.map(({ value }) => value.from).toSorted()).toEqual([false, true]);
  expect(await all(audit(operator))).toMatchObject([{ command: "worker debug", details: '{"asked":"one","on":true}' }, { command: "worker debug", touched: 2 }]);
});

test("a worker that has not ended by then is an error", async () => {
  const { operator, one } = await working();
  await stockQueue(operator.prefix).addBulk([{ name: "n", data: {} }, { name: "n", data: {} }]);
  await until(() => one.running === 1);
  expect((await failure(stopWorkers(operator, ["one"], { wait: 300 }))).error).toMatchObject({ code: "TIMEOUT", message: expect.stringContaining(`${one.id} (one)`) as string });
});

test("refuses before anything is said: a wrong argument, a worker that is not there, an operator that only looks", async () => {
  const { operator, one } = await working();
  const error = async (work: () => Promise<unknown>) => (await failure(Promise.resolve().then(work))).error;
  expect(await error(() => scaleWorkers(operator, "all", 0))).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(() => profileWorkers(operator, "all", 61))).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(() => setWorkerLogLevel(operator, "all", "loud" as "info"))).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(() => setWorkerDebug(operator, "all", "on" as never))).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(() => quietWorkers(operator, []))).toMatchObject({ code: "OPTION_INVALID" });
  expect(await error(() => quietWorkers(operator, ["one", "nobody"]))).toMatchObject({ code: "NOT_FOUND" });
  const onlooker = testOperator({ prefix: operator.prefix, readOnly: true });
  expect(await error(() => quietWorkers(onlooker, "all"))).toMatchObject({ code: "READ_ONLY" });
  expect((await pingWorkers(onlooker, "all")).answers).toHaveLength(2);
  expect(one.state).toBe("ready");
  const nobody = testOperator();
  expect(await quietWorkers(nobody, "all")).toEqual({ answers: [], refused: [], unanswered: [] });
});
