import * as fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { z } from "zod";
import { PayloadError, UnknownJobError } from "../../src/errors.ts";
import { decodePayload, decodeProgress, decodeResult, encodePayload, encodeProgress, encodeResult } from "../../src/job/codec.ts";
import { defineJob, definitionOf, typed } from "../../src/job/contract.ts";

const welcome = definitionOf(defineJob("welcome", { payload: z.object({ to: z.email(), name: z.string().default("friend") }) }));
const reset = definitionOf(
  defineJob("reset", {
    payload: v.object({ at: v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => new Date(text))) }),
    result: z.object({ at: z.iso.datetime().transform((text) => new Date(text)) }),
    progress: z.object({ percent: z.number() }),
  }),
);
const nightly = definitionOf(defineJob("nightly"));
const settings = definitionOf(defineJob("settings", { payload: z.object({ theme: z.string().default("dark") }) }));
const slow = definitionOf(
  defineJob("slow", {
    payload: z.object({ n: z.number().refine(async (n) => n > 0, "too small") }),
    result: z.string().refine(async (text) => text !== "", "empty"),
  }),
);
const page = definitionOf(
  defineJob("page", {
    version: 3,
    payload: z.strictObject({ url: z.string() }),
    previous: {
      1: z.strictObject({ address: z.string() }).transform(({ address }) => ({ url: address })),
      2: z.strictObject({ uri: z.string() }).transform(async ({ uri }) => ({ url: uri })),
    },
  }),
);

/** What is thrown or rejected. */
async function refusal(body: () => unknown): Promise<Error> {
  try {
    await body();
  } catch (error) {
    return error as Error;
  }
  throw new Error("was taken");
}

test("stores what was put unchanged, and gives the handler the schema's output", () => {
  const json = encodePayload(welcome, { to: "a@b.ch" });
  expect(json).toBe('{"to":"a@b.ch"}');
  expect(decodePayload(welcome, json as string, 1)).toEqual({ to: "a@b.ch", name: "friend" });
  const at = "2026-01-02T03:04:05Z";
  expect(encodePayload(reset, { at })).toBe(`{"at":"${at}"}`);
  expect(decodePayload(reset, `{"at":"${at}"}`, 1)).toEqual({ at: new Date(at) });
});

test("mirrors this for results", () => {
  const at = "2026-01-02T03:04:05Z";
  expect(encodeResult(reset, { at })).toBe(`{"at":"${at}"}`);
  expect(decodeResult(reset, `{"at":"${at}"}`)).toEqual({ at: new Date(at) });
});

test("refuses what the schema does not take, with the path and the job", async () => {
  const error = await refusal(() => encodePayload(welcome, { to: "a" }));
  expect(error).toBeInstanceOf(PayloadError);
  expect(error.message).toMatch(/^the payload does not fit job "welcome": payload\.to: /);
  expect((error as PayloadError).issues).toEqual([{ path: "payload.to", message: expect.any(String) }]);
  expect((await refusal(() => encodePayload(reset, { at: 5 }))).message).toContain("payload.at: ");
  expect((await refusal(() => encodeResult(reset, { at: "soon" }))).message).toContain('the result does not fit job "reset": result.at: ');
});

test("refuses what JSON cannot carry before the schema sees it", async () => {
  expect((await refusal(() => encodePayload(reset, { at: new Date() }))).message).toContain("payload.at is a Date: ");
  expect((await refusal(() => encodeResult(reset, { at: 5n }))).message).toContain("result.at is a bigint: ");
  expect((await refusal(() => encodeProgress(reset, { percent: Number.NaN }))).message).toContain("progress.percent is NaN");
});

test("holds payloads, results and progress to their limit", async () => {
  const free = definitionOf(defineJob("free", { payload: typed<string>(), result: typed<string>(), progress: typed<string>() }));
  for (const encode of [encodePayload, encodeResult, encodeProgress]) {
    expect(encode(free, "x".repeat(98), 100)).toHaveLength(100);
    expect((await refusal(() => encode(free, "x".repeat(99), 100))).message).toMatch(/ bytes of JSON, above the limit of 100/);
    expect((await refusal(() => encode(free, "x".repeat(1_048_576)))).message).toContain("1048576");
  }
});

test("waits for schemas that check asynchronously", async () => {
  await expect(encodePayload(slow, { n: 1 })).resolves.toBe('{"n":1}');
  await expect(encodePayload(slow, { n: 0 })).rejects.toThrow("payload.n: too small");
  await expect(decodePayload(slow, '{"n":1}', 1)).resolves.toEqual({ n: 1 });
  await expect(decodePayload(slow, '{"n":0}', 1)).rejects.toThrow(PayloadError);
  await expect(encodeResult(slow, "x")).resolves.toBe('"x"');
  await expect(decodeResult(slow, '""')).rejects.toThrow("result: empty");
});

test("a schema that throws refuses", async () => {
  const broken = z.string().transform((): string => {
    throw new TypeError("no such table");
  });
  const sync = definitionOf(defineJob("broken", { payload: broken, result: broken }));
  const message = 'the payload does not fit job "broken": payload: the schema of the payload threw TypeError: no such table';
  expect((await refusal(() => encodePayload(sync, "x"))).message).toBe(message);
  expect(await refusal(() => decodePayload(sync, '"x"', 1))).toBeInstanceOf(PayloadError);
  expect(await refusal(() => encodeResult(sync, "x"))).toBeInstanceOf(PayloadError);
  const rejecting = definitionOf(
    defineJob("rejecting", {
      payload: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: async () => await Promise.reject(new Error("offline")),
        },
      },
    }),
  );
  await expect(encodePayload(rejecting, 1)).rejects.toThrow("the schema of the payload threw Error: offline");
});

test("a contract without a payload takes nothing, and stores what BullMQ stores", async () => {
  expect(encodePayload(nightly, undefined)).toBe("{}");
  for (const json of ["{}", "null"]) expect(decodePayload(nightly, json, 1)).toBeUndefined();
  expect((await refusal(() => encodePayload(nightly, {}))).message).toBe(
    'job "nightly" takes no payload, got an object: give its contract a payload schema',
  );
  for (const json of ['{"a":1}', "[]", "5", '""', "false"]) expect(await refusal(() => decodePayload(nightly, json, 1))).toBeInstanceOf(PayloadError);
});

test("a payload whose fields are all optional may be left out; any other may not", async () => {
  expect(encodePayload(settings, undefined)).toBe("{}");
  expect(decodePayload(settings, "{}", 1)).toEqual({ theme: "dark" });
  expect((await refusal(() => encodePayload(welcome, undefined))).message).toBe('job "welcome" expects a payload, got undefined');
});

test("a contract without a result stores null whatever its handler gave", () => {
  for (const value of [undefined, 5, 5n, new Map()]) expect(encodeResult(nightly, value)).toBe("null");
  for (const json of ["null", '{"by":"a stock worker"}', undefined]) expect(decodeResult(nightly, json)).toBeUndefined();
});

test("a missing result is refused, on the way in and on the way out", async () => {
  expect((await refusal(() => encodeResult(reset, undefined))).message).toBe("result is undefined: take null");
  expect(await refusal(() => decodeResult(reset, undefined))).toBeInstanceOf(PayloadError);
});

test("progress is a number, or what its schema takes, and is read as it was stored", async () => {
  expect(encodeProgress(nightly, 50)).toBe("50");
  expect((await refusal(() => encodeProgress(nightly, "half"))).message).toContain('progress: is "half": take a number');
  expect(encodeProgress(reset, { percent: 5 })).toBe('{"percent":5}');
  expect((await refusal(() => encodeProgress(reset, 5))).message).toContain("progress: ");
  expect(decodeProgress(reset, '{"percent":5}')).toEqual({ percent: 5 });
  expect(await refusal(() => decodeProgress(reset, "{"))).toBeInstanceOf(PayloadError);
});

test("reads a payload by the version it was put under", async () => {
  expect(decodePayload(page, '{"url":"u"}', 3)).toEqual({ url: "u" });
  expect(await decodePayload(page, '{"uri":"u"}', 2)).toEqual({ url: "u" });
  expect(decodePayload(page, '{"address":"u"}', 1)).toEqual({ url: "u" });
  expect(await refusal(() => decodePayload(page, '{"url":"u"}', 1))).toBeInstanceOf(PayloadError);
});

test("a job of a newer version is told apart, whatever it carries", async () => {
  for (const json of ['{"url":"u"}', "{", undefined]) {
    const error = await refusal(() => decodePayload(page, json, 4));
    expect(error).toBeInstanceOf(UnknownJobError);
    expect(error.message).toBe('job "page" was put under version 4, this worker knows 3: deploy the newer one');
  }
});

test("a job of a version that the contract no longer reads is refused", async () => {
  const young = definitionOf(defineJob("young", { version: 3, payload: typed<number>() }));
  const error = await refusal(() => decodePayload(young, "1", 2));
  expect(error).toBeInstanceOf(PayloadError);
  expect(error.message).toContain("was put under version 2, which this contract no longer reads: add previous: { 2: schema }");
});

test("a stock job carries no version: the newest schema that takes it reads it", async () => {
  expect(await decodePayload(page, '{"url":"u"}', undefined)).toEqual({ url: "u" });
  expect(await decodePayload(page, '{"uri":"u"}', undefined)).toEqual({ url: "u" });
  expect(await decodePayload(page, '{"address":"u"}', undefined)).toEqual({ url: "u" });
  const error = await refusal(() => decodePayload(page, '{"link":"u"}', undefined));
  expect(error).toBeInstanceOf(PayloadError);
  expect(error.message).toContain("payload.url: ");
  expect(decodePayload(welcome, '{"to":"a@b.ch"}', undefined)).toEqual({ to: "a@b.ch", name: "friend" });
});

test("a contract that dropped its payload reads what older producers put", async () => {
  const dropped = definitionOf(
    defineJob("dropped", { version: 2, previous: { 1: z.object({ a: z.number() }).transform(() => undefined) } }),
  );
  expect(decodePayload(dropped, '{"a":1}', 1)).toBeUndefined();
  expect(await decodePayload(dropped, '{"a":1}', undefined)).toBeUndefined();
  expect(await refusal(() => decodePayload(dropped, '{"b":1}', undefined))).toBeInstanceOf(PayloadError);
});

test("a payload that is gone, or no JSON, is refused and never run as if it were empty", async () => {
  for (const definition of [welcome, nightly]) {
    expect((await refusal(() => decodePayload(definition, undefined, 1))).message).toContain("is gone from Redis");
    for (const json of ["", "{", "undefined"]) {
      expect((await refusal(() => decodePayload(definition, json, 1))).message).toBe("payload is stored as something that is not JSON");
    }
  }
});

test("sums up many issues, and keeps a hundred of them", async () => {
  const numbers = definitionOf(defineJob("numbers", { payload: z.array(z.number()) }));
  const error = (await refusal(() => encodePayload(numbers, Array.from({ length: 50_000 }, () => "x")))) as PayloadError;
  expect(error.message).toContain("; and 97 more");
  expect(error.message.length).toBeLessThan(500);
  expect(error.issues).toHaveLength(100);
  expect(error.issues[7]?.path).toBe("payload[7]");
});

test("any JSON value crosses a contract that only types", () => {
  const free = definitionOf(defineJob("free", { payload: typed<unknown>(), result: typed<unknown>() }));
  fc.assert(
    fc.property(fc.object({ values: [fc.string({ unit: "binary" }), fc.integer(), fc.boolean(), fc.constant(null)] }), (value) => {
      expect(decodePayload(free, encodePayload(free, value) as string, 1)).toStrictEqual(value);
      expect(decodeResult(free, encodeResult(free, value) as string)).toStrictEqual(value);
    }),
    { numRuns: 1000 },
  );
});

/** Schemas that quote all that they refuse. */
const quoting = (more: object) => definitionOf(
  defineJob("quoting", {
    payload: v.looseObject({ to: v.string(), body: v.pipe(v.string(), v.check((text) => text !== "", ({ input }) => `quotes ${input}`)), card: v.optional(v.object({ number: v.string() })) }),
    result: v.pipe(v.looseObject({ body: v.string() }), v.check(({ body }) => body === "fit", ({ input }) => `quotes ${JSON.stringify(input)}`)),
    progress: v.looseObject({ body: v.number() }),
    redact: ["body", "card.number"],
    ...more,
  }),
);

test("what a schema says of what is redacted is for who puts it, and not for those who read errors elsewhere", async () => {
  const hidden = quoting({});
  const told = async (body: () => unknown): Promise<string> => JSON.stringify([(await refusal(body)).message, (await refusal(body) as PayloadError).issues]);
  for (const body of [
    () => decodePayload(hidden, '{"to":"x","body":"","card":{"number":4711}}', 1),
    () => decodePayload(hidden, '{"to":"x","body":4711}', 1),
    () => encodeResult(hidden, { body: "4711" }),
    () => decodeResult(hidden, '{"body":"4711"}'),
    () => encodeProgress(hidden, { body: "4711" }),
    () => encodeProgress(definitionOf(defineJob("n", { redact: ["body"] })), { body: "4711" }),
    () => decodePayload(definitionOf(defineJob("n", { redact: ["body"] })), '{"body":"4711"}', 1),
  ]) {
    expect(await told(body)).not.toContain("4711");
    expect(await told(body)).toMatch(/does not fit|\*\*\*/);
  }
  expect(await told(() => encodePayload(hidden, { to: "x", body: 4711 }))).toContain("4711");
  // What is not redacted is told as before.
  expect((await refusal(() => decodePayload(hidden, '{"to":4711,"body":"x"}', 1)) as PayloadError).issues).toEqual([{ path: "payload.to", message: expect.stringContaining("4711") as string }]);
  expect((await refusal(() => decodePayload(hidden, '{"to":"x"}', 1)) as PayloadError).issues).toEqual([{ path: "payload.body", message: expect.stringContaining("undefined") as string }]);
  const open = quoting({ redact: [] });
  expect(await told(() => decodePayload(open, '{"to":"x","body":4711}', 1))).toContain("4711");
  const slow = definitionOf(defineJob("slow", { payload: z.object({ body: z.string().refine(async () => false, { error: ({ input }) => `quotes ${String(input)}` }) }), redact: ["body"] }));
  expect(await told(() => decodePayload(slow, '{"body":"4711"}', 1))).not.toContain("4711");
});
