import { z } from "zod";
import { defineJob, typed } from "millrace/job";

defineJob("a", { payload: z.object({ when: z.date() }) }); // error: payload.when is a Date: take z.iso.datetime() and transform it
defineJob("a", { payload: z.object({ deep: z.object({ big: z.bigint() }) }) }); // error: payload.deep.big is a bigint
defineJob("a", { payload: z.object({ items: z.array(z.object({ at: z.date() })) }) }); // error: payload.items[].at is a Date
defineJob("a", { payload: z.array(z.string().optional()) }); // error: payload[] may be undefined: take null
defineJob("a", { payload: z.tuple([z.number(), z.union([z.string(), z.undefined()]), z.number()]) }); // error: payload[] may be undefined
defineJob("a", { payload: z.string().optional() }); // error: payload may be undefined
defineJob("a", { payload: z.map(z.string(), z.number()) }); // error: payload is a Map
defineJob("a", { payload: z.set(z.string()) }); // error: payload is a Set
defineJob("a", { payload: typed<Uint8Array>() }); // error: payload is binary: take a base64 string
defineJob("a", { payload: typed<{ run(): void }>() }); // error: payload.run is a function
defineJob("a", { payload: typed<{ page: URL }>() }); // error: payload.page has toJSON
defineJob("a", { payload: typed<{ [id: number]: Date }>() }); // error: payload.${number} is a Date
defineJob("a", { payload: z.symbol() }); // error: payload is a symbol
defineJob("a", { result: z.object({ at: z.date() }) }); // error: result.at is a Date
defineJob("a", { progress: z.bigint() }); // error: progress is a bigint
defineJob("a", { payload: z.object({}), atempts: 3 }); // error: 'atempts' does not exist
defineJob("a", { unique: { key: () => "x" } }); // error: 'unique' does not exist
defineJob("a", { timeout: "1 hour" }); // error: Type '"1 hour"' is not assignable
defineJob("a", { attempts: "3" }); // error: Type 'string' is not assignable to type 'number'
defineJob("a", { backoff: { type: "linear", base: "1s" } }); // error: Type '"linear"' is not assignable
defineJob("a", { backoff: { type: "fixed" } }); // error: Property 'base' is missing
defineJob("a", { keep: { completed: 1000 } }); // error: Type 'number' has no properties in common with type 'Keep'
defineJob("a", { version: 2, payload: z.object({ a: z.string() }), previous: { 1: z.object({ b: z.string() }) } }); // error: "must give": { a: string; }; readonly "but gives": { b: string; }
defineJob("a", { payload: { to: "string" } }); // error: 'to' does not exist
