import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { OptionError } from "../../src/errors.ts";
import { defineJob, definitionOf, defineQueue, typed, type Job, type JobTypes } from "../../src/job/contract.ts";

const text = z.object({ to: z.string() });

test("an item holds a job, its payload and its options, and is not put yet", () => {
  const job = defineJob("welcome", { payload: text });
  expect(job.item({ to: "a" })).toEqual({ job, payload: { to: "a" } });
  expect(job.item({ to: "a" }, { delay: "1h" })).toEqual({ job, payload: { to: "a" }, options: { delay: "1h" } });
  expect(defineJob("nightly").item()).toEqual({ job: expect.objectContaining({ name: "nightly" }), payload: undefined });
});

test("typed takes anything as it is", () => {
  const value = { to: 5 };
  expect(typed<{ to: string }>()["~standard"].validate(value)).toEqual({ value });
});

test("refuses settings of a queue that are none", () => {
  for (const maxSize of [0, -1, 2.5, "5", Number.NaN]) expect(() => defineQueue("q", { maxSize } as never)).toThrow(OptionError);
  expect(() => defineQueue("q", { limit: {} } as never)).toThrow('unknown option "limit" of queue "q": expected one of maxSize');
  expect(() => defineQueue("a{b}")).toThrow(OptionError);
  expect(() => defineJob("")).toThrow(OptionError);
});

test("tells a job from what only looks like one", () => {
  for (const job of [undefined, null, "welcome", {}, { name: "a", queue: "a", item() {} }, { ...defineJob("a") }]) {
    expect(() => definitionOf(job as Job)).toThrow(OptionError);
  }
  expect(() => definitionOf({ name: "a" } as Job)).toThrow("expected a job made by defineJob, got an object");
});

test("types flow from the schemas without annotation", () => {
  type TypesOf<J> = J extends Job<infer T extends JobTypes> ? T : never;
  const dates = z.object({ at: z.iso.datetime().transform((at) => new Date(at)), name: z.string().default("x") });
  const job = defineJob("a", { payload: dates, result: dates, progress: z.object({ percent: z.number() }) });
  expectTypeOf<TypesOf<typeof job>>().toEqualTypeOf<{
    put: { at: string; name?: string | undefined };
    payload: { at: Date; name: string };
    returns: { at: string; name?: string | undefined };
    result: { at: Date; name: string };
    progress: { percent: number };
  }>();
  const bare = defineJob("b");
  expectTypeOf<TypesOf<typeof bare>>().toEqualTypeOf<{ put: undefined; payload: undefined; returns: void; result: void; progress: number }>();
});
