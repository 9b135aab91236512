import { expect, onTestFinished, test } from "vitest";
import { Flight } from "../../src/queue/flight.ts";
import { failure } from "../support/outcome.ts";

const CHUNK = 500;

/** Puts that land when they are told to. */
function puts() {
  const landings: PromiseWithResolvers<boolean>[] = [];
  const put = (): Promise<boolean> => {
    const landing = Promise.withResolvers<boolean>();
    landings.push(landing);
    return landing.promise;
  };
  return { landings, put };
}

/** Adds puts until one has to wait; gives how many there are then. */
async function fill(flight: Flight, put: () => Promise<boolean>, bytes: number): Promise<{ count: number; waiting: Promise<void> }> {
  for (let count = 1; count <= 10 * CHUNK; count += 1) {
    const waiting = flight.add(put(), bytes);
    const waits = await Promise.race([waiting.then(() => false), new Promise<boolean>((resolve) => setImmediate(resolve, true))]);
    if (waits) return { count, waiting };
  }
  throw new Error("nothing has to wait");
}

test("one chunk flies while the next is gathered; then it waits", async () => {
  const flight = new Flight();
  const { landings, put } = puts();
  const { count, waiting } = await fill(flight, put, 10);
  expect(count).toBe(2 * CHUNK);
  for (const landing of landings.slice(0, CHUNK)) landing.resolve(true);
  await waiting;
  expect((await fill(flight, put, 10)).count).toBe(CHUNK);
  for (const landing of landings) landing.resolve(true);
  await flight.landed();
  expect(flight.added).toBe(3 * CHUNK);
});

test("large ones wait sooner: it is 2 MiB at once that are gathered", async () => {
  const { put } = puts();
  expect((await fill(new Flight(), put, 1 << 20)).count).toBe(4);
  expect((await fill(new Flight(), put, 5 << 20)).count).toBe(2);
});

test("only what was added counts", async () => {
  const flight = new Flight();
  for (const added of [true, false, true, false, false]) await flight.add(Promise.resolve(added), 1);
  await flight.landed();
  expect(flight.added).toBe(2);
});

test("the first error of any put is thrown to whoever adds next, and to whoever waits for the landing", async () => {
  const flight = new Flight();
  const { landings, put } = puts();
  await flight.add(put(), 1);
  await flight.add(put(), 1);
  landings[1]!.reject(new Error("first"));
  await new Promise(setImmediate);
  landings[0]!.reject(new Error("second"));
  expect((await failure(flight.add(Promise.resolve(true), 1))).error).toEqual(new Error("first"));
  expect((await failure(flight.landed())).error).toEqual(new Error("first"));
});

test("an error is known before anybody asks for it: it never counts as unhandled", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const flight = new Flight();
  const { landings, put } = puts();
  await flight.add(put(), 1);
  landings[0]!.reject(new Error("alone"));
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(unhandled).toEqual([]);
  expect((await failure(flight.landed())).error).toEqual(new Error("alone"));
});
