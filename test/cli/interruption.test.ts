import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Interruption, type Cause } from "../../src/cli/interruption.ts";

let interruption: Interruption;
let again: Cause[];
beforeEach(() => {
  const others = process.listeners("SIGTERM");
  process.removeAllListeners("SIGTERM");
  interruption = new Interruption();
  again = [];
  interruption.onAgain = (cause) => again.push(cause);
  onTestFinished(() => {
    interruption[Symbol.dispose]();
    for (const listener of others) process.on("SIGTERM", listener);
  });
});

const signalled = (): boolean => process.emit("SIGTERM", "SIGTERM");

test("the first signal ends, each further one says so again", () => {
  expect([interruption.signal.aborted, interruption.exitCode]).toEqual([false, undefined]);
  signalled();
  expect([interruption.signal.aborted, interruption.cause, interruption.exitCode, again]).toEqual([true, "SIGTERM", 143, []]);
  signalled();
  signalled();
  expect(again).toEqual(["SIGTERM", "SIGTERM"]);
});

test.each([
  ["the signal before the order", ["signal", "stop"]],
  ["the order before the signal", ["stop", "signal"]],
  ["several of both", ["stop", "signal", "signal", "stop", "signal"]],
] as const)("who takes orders ends once by them and by signals: %s", (_, calls) => {
  const { stop } = interruption.takeOrders();
  for (const call of calls) {
    if (call === "stop") stop("SIGINT");
    else signalled();
  }
  expect(interruption.signal.aborted).toBe(true);
  expect(again).toEqual([]);
});

test("who takes orders is in a hurry when it is ordered to be, and then has ended too", () => {
  const { hurry } = interruption.takeOrders();
  hurry("SIGINT");
  expect([interruption.signal.aborted, again]).toEqual([true, ["SIGINT"]]);
});

test("whoever goes away that read the output ends it as a closed pipe does", () => {
  interruption.brokenPipe();
  expect([interruption.cause, interruption.exitCode]).toEqual(["SIGPIPE", 141]);
});
