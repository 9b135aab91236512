import { hostname } from "node:os";
import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { connectOperator } from "../../src/admin/operator.ts";
import { NotFoundError, OptionError, ReadOnlyError } from "../../src/errors.ts";
import { stockQueue } from "../interop/stock.ts";
import { all, testOperator } from "./opened-operator.ts";

const change = { command: "queue pause", target: "mail", details: { reason: "tired" } };

test("what is done within a change stands in the trail: who, what, how it ended, and how much it touched", async () => {
  const operator = testOperator();
  const before = Date.now();
  expect(await operator.change(change, async (touch) => (touch(3), "paused"))).toBe("paused");
  await expect(operator.change({ ...change, command: "queue resume" }, () => Promise.reject(new NotFoundError("gone")))).rejects.toThrow("gone");
  const [first, second] = await all(audit(operator));
  expect(first).toMatchObject({ who: "tester", command: "queue pause", target: "mail", details: '{"reason":"tired"}', outcome: "done", touched: 3 });
  expect(first!.at).toBeGreaterThanOrEqual(before - 1000);
  expect(second).toMatchObject({ command: "queue resume", outcome: "failed", error: "NOT_FOUND: gone", touched: undefined });
});

test("what was asked and is not done makes a change one that failed, though nothing was thrown, beside what it touched", async () => {
  const operator = testOperator();
  const missed = new NotFoundError("one was gone");
  expect(await operator.change(change, async (touch) => (touch(2, { missed }), "paused"))).toBe("paused");
  await operator.change(change, async (touch) => (touch(1, { missed }), touch(2, { target: "post" })));
  expect(await all(audit(operator))).toMatchObject([
    { target: "mail", details: '{"reason":"tired"}', outcome: "failed", touched: 2, error: "NOT_FOUND: one was gone" },
    { target: "post", outcome: "done", touched: 2, error: undefined },
  ]);
});

test("a change that is under way, or was cut off, stands there as begun", async () => {
  const operator = testOperator();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { promise: atWork, resolve: working } = Promise.withResolvers<void>();
  const changing = operator.change(change, () => (working(), promise));
  await atWork;
  expect(await all(audit(operator))).toMatchObject([{ command: "queue pause", outcome: "begun" }]);
  resolve();
  await changing;
  expect(await all(audit(operator))).toMatchObject([{ command: "queue pause", outcome: "done" }]);
});

test("what was only added is one entry, and none where nothing was", async () => {
  const operator = testOperator();
  await operator.ready();
  await operator.added({ command: "job put", target: "mail" }, 0);
  await operator.added({ command: "job put", target: "mail" }, 2);
  expect(await all(audit(operator))).toMatchObject([{ command: "job put", outcome: "done", touched: 2 }]);
});

test("who may only look changes nothing, before any I/O", async () => {
  const operator = testOperator({ redis: "redis://127.0.0.1:1", readOnly: true });
  const changing = operator.change(change, () => Promise.reject(new Error("was done")));
  await expect(changing).rejects.toThrow(ReadOnlyError);
  expect(operator.connections.isConnected).toBe(false);
});

test("says who it is by user and host, unless told", () => {
  expect(connectOperator({ redis: "redis://127.0.0.1:1" }).who).toMatch(new RegExp(`^.+@${hostname()}$`));
});

test("refuses options that are none, and names of queues that are none, before any I/O", async () => {
  expect(() => connectOperator({ redis: "redis://127.0.0.1:1", readonly: true } as never)).toThrow('unknown option "readonly" of connectOperator: did you mean readOnly?');
  expect(() => connectOperator({ redis: "redis://127.0.0.1:1", prefix: "a:b" })).toThrow(OptionError);
  const operator = testOperator({ redis: "redis://127.0.0.1:1" });
  await expect(operator.existing("a:b")).rejects.toThrow(OptionError);
});

test("of a queue that is not there it says which may have been meant", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix, "emails").add("n", 1);
  expect((await operator.existing("emails")).name).toBe("emails");
  await expect(operator.existing("email")).rejects.toThrow('no queue is called "email": did you mean emails?');
  await expect(operator.existing("thumbnails")).rejects.toThrow("nothing was ever put into it under the prefix");
});
