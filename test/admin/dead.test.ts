import type { Queue } from "bullmq";
import { beforeEach, expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { discardDead, exportDead, listDead, listDeadByQueue, retryDead, showDead } from "../../src/admin/dead.ts";
import { cancelJobs } from "../../src/admin/job-changes.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { consumedQueuesKey } from "../../src/control/keys.ts";
import { register, unregister } from "../../src/control/registry.ts";
import { NotFoundError, OptionError } from "../../src/errors.ts";
import { failJobs, stockQueue } from "../interop/stock.ts";
import { entryOf } from "../control/control.ts";
import { all, testOperator } from "./opened-operator.ts";

let operator: Operator;
let stock: Queue;
/** Three mails that no host took, one that has no address, and one cancelled. */
beforeEach(async () => {
  operator = testOperator();
  stock = stockQueue(operator.prefix, "mail");
  await failJobs(stock, operator.prefix, ["10.0.0.1", "10.0.0.2", "10.0.0.30", undefined].map((host) => ({ name: "mail", data: { host } })), (job) => {
    const { host } = job.data as { host?: string };
    return Promise.reject(new Error(host === undefined ? "no address" : `connect ECONNREFUSED ${host}:25`));
  });
  const cancelled = await stock.add("mail", {});
  await cancelJobs(operator, "mail", { ids: [cancelled.id!] });
});

test("groups dead letters by their error, the most frequent first, with a sample; cancelled jobs are none", async () => {
  await stockQueue(operator.prefix, "empty").add("n", 1);
  const found = await listDead(operator, undefined);
  expect(found).toMatchObject({ isCut: false, groups: [{ queue: "mail", name: "mail", error: "connect ECONNREFUSED <n>:<n>", count: 3 }, { error: "no address", count: 1, sampleError: "no address" }] });
  const [refused] = found.groups;
  expect(refused!.sampleStack).toMatch(/^Error: connect ECONNREFUSED 10\.0\.0\.\d+:25\n +at /);
  expect(refused!.lastAt).toBeGreaterThanOrEqual(refused!.firstAt);
  expect(await listDead(operator, "mail", { error: "address" })).toMatchObject({ groups: [{ count: 1 }] });
  expect(await listDead(operator, "mail", { limit: 2 })).toMatchObject({ looked: 2, isCut: true });
  expect(await listDead(operator, "empty")).toEqual({ groups: [], looked: 0, isCut: false });
  const told: number[] = [];
  expect(await listDead(operator, "mail", { all: true, name: "mail", onProgress: (looked) => told.push(looked) })).toMatchObject({ looked: 5, isCut: false });
  expect(told).toEqual([5]);
});

test("of all queues the most frequent error comes first, and of each so many are looked at", async () => {
  await failJobs(stockQueue(operator.prefix, "post"), operator.prefix, Array.from({ length: 2 }, () => ({ name: "send" })), () => Promise.reject(new Error("no route")));
  const found = await listDead(operator, undefined, { limit: 4 });
  expect(found.groups.map(({ queue, error, count }) => `${queue} ${error} ${count}`)).toEqual(["post no route 2", "mail connect ECONNREFUSED <n>:<n> 2", "mail no address 1"]);
  expect(found).toMatchObject({ looked: 6, isCut: true });
});

test("of all queues it is also told a queue at a time, those with consumers first, each with its most frequent error first", async () => {
  await failJobs(stockQueue(operator.prefix, "post"), operator.prefix, Array.from({ length: 2 }, () => ({ name: "send" })), () => Promise.reject(new Error("no route")));
  const queues = async () => (await all(listDeadByQueue(operator, undefined, { limit: 4 }))).map(({ groups, looked, isCut }) => ({ groups: groups.map(({ queue, count }) => `${queue} ${count}`), looked, isCut }));
  for (const consumed of ["mail", "post"]) {
    await register(operator.connections, entryOf("a", { queues: [consumed] }), []);
    const both = [{ groups: ["mail 2", "mail 1"], looked: 4, isCut: true }, { groups: ["post 2"], looked: 2, isCut: false }];
    expect(await queues()).toEqual(consumed === "mail" ? both : both.toReversed());
    await unregister(operator.connections, "a");
    await operator.connections.command.del(consumedQueuesKey(operator.prefix));
  }
});

test("shows a group, retries one as a whole, and discards another; it stands in the trail", async () => {
  const [refused, addressless] = (await listDead(operator, "mail")).groups;
  const shown = await showDead(operator, "mail", refused!.group);
  expect(shown).toMatchObject({ group: { count: 3 }, sample: { id: refused!.sampleId, state: "failed", payload: { host: expect.any(String) as string } } });
  expect(await retryDead(operator, "mail", { group: refused!.group })).toMatchObject({ matched: 3, changed: 3 });
  expect(await discardDead(operator, "mail", { group: addressless!.group })).toMatchObject({ matched: 1, changed: 1 });
  expect(await stock.getJobCounts("waiting", "failed")).toEqual({ waiting: 3, failed: 1 });
  expect(await discardDead(operator, "mail", { all: true })).toMatchObject({ matched: 0 });
  await expect(showDead(operator, "mail", "ffffffff")).rejects.toThrow(NotFoundError);
  expect((await all(audit(operator))).slice(1, 3)).toMatchObject([
    { command: "dead retry", details: JSON.stringify({ group: refused!.group }), touched: 3 },
    { command: "dead discard", touched: 1 },
  ]);
});

test("exports whole jobs, the last to fail first", async () => {
  const letters = await all(exportDead(operator, "mail", { name: "mail" }));
  expect(letters.map(({ id }) => id)).toEqual(["4", "3", "2", "1"]);
  expect(letters[3]).toMatchObject({ queue: "mail", name: "mail", payload: { host: "10.0.0.1" }, reason: "connect ECONNREFUSED 10.0.0.1:25", attempts: 1, stacks: [expect.any(String) as string] });
});

test("refuses what is none before any I/O", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  await expect(listDead(nowhere, undefined, { state: "completed", nmae: 1 } as never)).rejects.toThrow(OptionError);
  await expect(listDead(nowhere, undefined, { all: true, limit: 5 })).rejects.toThrow("either limit or all");
  await expect(retryDead(nowhere, "mail", {})).rejects.toThrow(OptionError);
  expect(() => exportDead(nowhere, "mail", { older: "soon" as never })).toThrow(OptionError);
  await expect(listDead(operator, "mial")).rejects.toThrow("did you mean mail?");
});
