import { expect, test } from "vitest";
import * as errors from "../src/errors.ts";
import * as millrace from "../src/index.ts";
import { defineJob, defineQueue, typed } from "../src/job/index.ts";

/** Thrown by queues and barriers of one process, whose entry is `millrace/concurrency`. */
const ofOneProcess = ["BrokenBarrierError", "QueueEmptyError", "QueueShutDownError"];

test("every error that a program may meet or throw is public", () => {
  expect(Object.keys(errors).filter((name) => !(name in millrace)).toSorted()).toEqual(ofOneProcess);
});

test("what a contract is made of is the same in both entries", () => {
  expect(millrace.defineJob).toBe(defineJob);
  expect(millrace.defineQueue).toBe(defineQueue);
  expect(millrace.typed).toBe(typed);
});

test("what programs are written with is there", () => {
  expect(Object.keys(millrace)).toEqual(expect.arrayContaining(["connect", "defineHandler", "gather", "range", "sleep", "spawn", "taskGroup", "timeout"]));
});
