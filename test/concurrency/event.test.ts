import { expect, test } from "vitest";
import { CancelledError } from "../../src/errors.ts";
import { Event } from "../../src/concurrency/event.ts";
import { rejection, settled, type Settlement, settlement } from "./settlement.ts";

test("wakes all who wait, in the order they came, when it is set", async () => {
  const event = new Event();
  const order: number[] = [];
  for (const number of [1, 2, 3]) void event.wait().then(() => order.push(number));
  await settled();
  expect(order).toEqual([]);
  event.set();
  await settled();
  expect(order).toEqual([1, 2, 3]);
});

test("waiting for one that is set ends at once; for one cleared since it goes on", async () => {
  const event = new Event();
  event.set();
  expect(event.isSet).toBe(true);
  await event.wait();
  event.clear();
  expect(event.isSet).toBe(false);
  const waiting = settlement(event.wait());
  await settled();
  expect(waiting.state).toBe("pending");
});

test("who waited before it was set is woken though it is cleared again at once", async () => {
  const event = new Event();
  const waiting = settlement(event.wait());
  event.set();
  event.clear();
  await settled();
  expect(waiting.state).toBe("fulfilled");
});

test("a wait ends with the signal's reason, also when the event is set at the same moment", async () => {
  const event = new Event();
  const before = new AbortController();
  const after = new AbortController();
  const first = settlement(event.wait({ signal: before.signal }));
  const second = settlement(event.wait({ signal: after.signal }));
  const third = settlement(event.wait());
  before.abort(new Error("before"));
  event.set();
  after.abort(new Error("after"));
  await settled();
  expect(first).toMatchObject({ state: "rejected", reason: { message: "before" } });
  expect(second).toMatchObject({ state: "rejected", reason: { message: "after" } });
  expect(third.state).toBe("fulfilled");
});

test("a signal that fired before ends the wait even where the event is set", async () => {
  const event = new Event();
  event.set();
  expect(await rejection(event.wait({ signal: AbortSignal.abort(new Error("gone")) }))).toMatchObject({ message: "gone" });
});

test("at the end of its block it ends every wait, and those that come later", async () => {
  let kept: Event;
  let waiting: Settlement<void>;
  {
    using event = new Event();
    kept = event;
    waiting = settlement(event.wait());
  }
  await settled();
  expect(waiting.reason).toBeInstanceOf(CancelledError);
  expect(await rejection(kept.wait())).toBeInstanceOf(CancelledError);
});

test("whom it had let go before the end of its block goes on", async () => {
  let waiting: Settlement<void>;
  {
    using event = new Event();
    waiting = settlement(event.wait());
    event.set();
  }
  await settled();
  expect(waiting.state).toBe("fulfilled");
});
