/** The contracts that the programs and the mistakes share. */
import * as v from "valibot";
import { z } from "zod";
import { defineJob, defineQueue, typed } from "millrace/job";

export const mail = defineQueue("mail", { maxSize: 100_000 });
export const welcome = defineJob("welcome", { queue: mail, payload: z.object({ to: z.email(), name: z.string().default("friend") }), attempts: 5 });
export const reset = defineJob("reset", {
  queue: mail,
  payload: v.object({ to: v.string(), at: v.pipe(v.string(), v.transform((text) => new Date(text))) }),
});
export const fetchPage = defineJob("fetch-page", {
  payload: z.object({ url: z.url() }),
  result: z.object({ bytes: z.int(), at: z.iso.datetime().transform((text) => new Date(text)) }),
});
export const nightly = defineJob("nightly", { attempts: 3, timeout: "1h" });
export const settings = defineJob("settings", { payload: z.object({ theme: z.string().optional() }) });
export const row = defineJob("row", { payload: z.object({ line: z.number(), cells: z.array(z.string()) }) });
export const resize = defineJob("resize", {
  payload: z.object({ path: z.string(), width: z.int() }),
  result: z.object({ path: z.string() }),
  progress: z.object({ percent: z.number() }),
});
export const webhook = defineJob("webhook", {
  version: 2,
  payload: z.object({ url: z.url(), event: z.string(), body: z.json() }),
  previous: {
    1: z.object({ url: z.url(), type: z.string(), body: z.json() }).transform(({ type, ...rest }) => ({ ...rest, event: type })),
  },
  result: z.object({ status: z.int() }),
  attempts: 8,
  backoff: { type: "exponential", base: "1s", max: "1h", jitter: 1 },
  timeout: "30s",
  keep: { completed: { count: 1000, age: "1h" }, failed: { age: "7d" } },
});
export const legacyWelcome = defineJob("welcome", { queue: "emails", payload: typed<{ to: string; locale?: string }>() });
export const anything = defineJob("anything", { payload: typed<unknown>() });

interface Tree {
  readonly name: string;
  readonly children?: readonly Tree[];
}
export const tree = defineJob("tree", { payload: typed<Tree>() });
export const point = defineJob("point", { payload: z.tuple([z.number(), z.number(), z.string().optional()]), result: z.record(z.string(), z.number().nullable()) });
