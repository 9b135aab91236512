import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { threadId } from "node:worker_threads";
import { expect, test } from "vitest";
import { CancelledError, DeadLetter, NotFoundError, OptionError, ThreadLostError, TimeoutError } from "../../src/errors.ts";
import { offload, type OffloadOptions } from "../../src/concurrency/offload.ts";
import { spawn } from "../../src/concurrency/task.ts";
import * as offloaded from "./offloaded.ts";
import { rejection } from "./settlement.ts";

type Offloaded = typeof offloaded;
const module = new URL("./offloaded.ts", import.meta.url);

function call<K extends keyof Offloaded & ("place" | "later" | "sizeOf" | "bytes" | "left" | "fail" | "leave" | "failLater" | "failBehind" | "countForEver" | "aFunction" | "use")>(
  name: K,
  args: Parameters<Offloaded[K]>,
  options?: OffloadOptions,
): Promise<Awaited<ReturnType<Offloaded[K]>>> {
  return offload<Pick<Offloaded, K>, K>(module, name, args, options);
}

/** Runs a program in a process of its own; standard output comes back. */
async function program(source: string, ...flags: readonly string[]): Promise<string> {
  const toolkit = JSON.stringify(new URL("../../src/concurrency/index.ts", import.meta.url).href);
  const text = `import { offload, sleep } from ${toolkit}; const module = new URL(${JSON.stringify(module.href)});\n${source}`;
  return (await promisify(execFile)(process.execPath, [...flags, "--input-type=module", "-e", text], { timeout: 20_000 })).stdout;
}

test("runs a function of a TypeScript module in another thread, and gives what it returns or resolves to", async () => {
  const { thread } = await call("place", []);
  expect(thread).not.toBe(threadId);
  expect(await call("later", [{ at: new Date(0), list: [1n] }])).toEqual({ at: new Date(0), list: [1n] });
});

test("the loop stays free while a thread computes", async () => {
  const giveUp = new AbortController();
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const counting = rejection(call("countForEver", [counter], { signal: giveUp.signal }));
  while (Atomics.load(counter, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  giveUp.abort();
  await counting;
});

test("the task's name goes with the call, and nothing where there is no task", async () => {
  expect((await call("place", [])).task).toMatch(/^task-\d+$/);
  expect((await spawn(() => call("place", []), { name: "thumbnails" })).task).toBe("thumbnails");
});

test("values of the storages that are named go with each call, and no others", async () => {
  const { user, request } = offloaded;
  const inContext = (name: string, id: number, options?: OffloadOptions<Offloaded>) =>
    user.run(name, () => request.run({ id }, () => offload<Offloaded, "context">(module, "context", [], options)));
  const both = await Promise.all([inContext("Ada", 1, { context: { user, request } }), inContext("Bob", 2, { context: { user } }), inContext("Cy", 3)]);
  const none = undefined;
  expect(both).toEqual([["Ada", { id: 1 }, "Ada", { id: 1 }], ["Bob", none, "Bob", none], [none, none, none, none]]);
  // In the thread nothing of it is left.
  expect(await offload<Offloaded, "context">(module, "context", [], { context: { user, request } })).toEqual([none, none, none, none]);
});

test("a storage that the module does not export, and what is none, are errors", async () => {
  const { user, request } = offloaded;
  const wrong = await rejection(offload<{ use: typeof offloaded.use; gone: typeof user }, "use">(module, "use", [], { context: { gone: user } }));
  expect(wrong).toBeInstanceOf(NotFoundError);
  expect(wrong).toMatchObject({ message: expect.stringMatching(/no AsyncLocalStorage "gone" in file:.*offloaded\.ts: it exports request, user$/) as unknown });
  expect(await rejection(request.run({ id: 1 }, () => call("use", [], { context: { user: 1 } } as never)))).toMatchObject({ message: "expected an AsyncLocalStorage for user in context of offload, got 1" });
  expect(await rejection(user.run((() => 1) as never, () => offload<Offloaded, "context">(module, "context", [], { context: { user } })))).toBeInstanceOf(OptionError);
});

test("cancelling ends the thread in whatever it does, and the next call gets another one", async () => {
  const giveUp = new AbortController();
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const counting = rejection(call("countForEver", [counter], { signal: giveUp.signal }));
  while (Atomics.load(counter, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const reason = new CancelledError("enough");
  giveUp.abort(reason);
  expect(await counting).toBe(reason);
  let [before, after] = [-1, Atomics.load(counter, 0)];
  while (before !== after) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    [before, after] = [after, Atomics.load(counter, 0)];
  }
  expect(await call("later", ["alive"])).toBe("alive");
});

test("a signal that has fired before: nothing is called", async () => {
  const reason = new Error("before");
  expect(await rejection(call("leave", [1], { signal: AbortSignal.abort(reason) }))).toBe(reason);
});

test("an error of the language keeps its class, message, fields, cause and the stack of the thread", async () => {
  const error = (await rejection(call("fail", ["syntax"]))) as SyntaxError;
  expect(error).toBeInstanceOf(SyntaxError);
  expect(Object.getPrototypeOf(error)).toBe(SyntaxError.prototype);
  expect(error).toMatchObject({ message: "no such thing", code: "E_NO", at: { line: 3 } });
  expect(error.cause).toBeInstanceOf(TypeError);
  expect(error).not.toHaveProperty("callback");
  expect(error.stack).toMatch(/^SyntaxError: no such thing\n +at .*fail \(.*offloaded\.ts:\d+:\d+\)/);
});

test("an error of Millrace keeps its class", async () => {
  expect(await rejection(call("fail", ["millrace"]))).toBeInstanceOf(DeadLetter);
  const timeout = await rejection(call("fail", ["timeout"]));
  expect(timeout).toBeInstanceOf(TimeoutError);
  expect(timeout).toMatchObject({ name: "TimeoutError", code: "TIMEOUT" });
});

test("an error of one's own class keeps it where the class is given, and is the nearest known ancestor where it is not", async () => {
  const known = await rejection(call("fail", ["own"], { errors: [offloaded.PictureError] }));
  expect(known).toBeInstanceOf(offloaded.PictureError);
  expect(known).toMatchObject({ name: "PictureError", width: 90_000, message: "too wide" });
  const unknown = await rejection(call("fail", ["own"]));
  expect(Object.getPrototypeOf(unknown)).toBe(RangeError.prototype);
  expect(unknown).toMatchObject({ name: "PictureError", width: 90_000, message: "too wide" });
});

test("several errors in one, a DOMException and what is no error come over as well", async () => {
  const several = await rejection(call("fail", ["several"], { errors: [offloaded.PictureError] }));
  expect(several).toBeInstanceOf(AggregateError);
  expect((several as AggregateError).errors).toEqual([expect.any(offloaded.PictureError), 2]);
  expect(await rejection(call("fail", ["abort"]))).toMatchObject({ name: "AbortError", code: 20, message: "given up" });
  expect(await rejection(call("fail", ["text"]))).toBe("only text");
});

test("a buffer goes over without being copied where it is listed", async () => {
  const [copied, moved] = [new Uint8Array(1000), new Uint8Array(1000)];
  expect(await call("sizeOf", [copied])).toBe(1000);
  expect(await call("sizeOf", [moved], { transfer: [moved.buffer] })).toBe(1000);
  expect([copied.byteLength, moved.byteLength]).toEqual([1000, 0]);
});

test("a thread that ended by itself is an error, and the next call gets another one", async () => {
  const [left, uncaught] = await Promise.all([rejection(call("leave", [3])), rejection(call("failLater", ["an error"]))]);
  expect(left).toBeInstanceOf(ThreadLostError);
  expect(left).toMatchObject({ message: expect.stringContaining("code: 3") as unknown });
  expect(uncaught).toBeInstanceOf(ThreadLostError);
  expect(uncaught).toMatchObject({ message: expect.stringContaining("nobody caught this") as unknown, cause: { message: "nobody caught this" } });
  expect(await rejection(call("failLater", ["null"]))).toMatchObject({ code: "THREAD_LOST", message: expect.stringContaining("it threw what is no error") as unknown });
  expect(await call("later", ["alive"])).toBe("alive");
});

test("refuses what cannot be copied, there and back", async () => {
  const there = await rejection(call("later", [() => 1]));
  const back = await rejection(call("aFunction", []));
  for (const error of [there, back]) expect(error).toBeInstanceOf(OptionError);
  expect(there).toMatchObject({ message: expect.stringContaining("() => 1 could not be cloned") as unknown });
});

test("says which functions a module exports, and where there is no module", async () => {
  const missing = await rejection(offload<Record<"gone", () => void>, "gone">(module, "gone", []));
  expect(missing).toBeInstanceOf(NotFoundError);
  expect(missing).toMatchObject({ message: expect.stringMatching(/no function "gone" in file:.*offloaded\.ts: it exports .*place/) as unknown });
  const noFunction = await rejection(offload<Record<"constant", () => void>, "constant">(module, "constant", []));
  expect(noFunction).toBeInstanceOf(NotFoundError);
  const nowhere = await rejection(offload<Record<"f", () => void>, "f">(new URL("./nowhere.ts", import.meta.url), "f", []));
  expect(nowhere).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
});

test("refuses a path in place of a URL, arguments in no list, and options it does not know", async () => {
  expect(await rejection(offload<Pick<Offloaded, "place">, "place">("./offloaded.ts" as never, "place", []))).toBeInstanceOf(OptionError);
  expect(await rejection(offload<Pick<Offloaded, "sizeOf">, "sizeOf">(module, "sizeOf", 3 as never))).toBeInstanceOf(OptionError);
  expect(await rejection(call("place", [], { signals: 1 } as never))).toMatchObject({ message: expect.stringContaining("did you mean signal") as unknown });
});

test("threads without work do not hold the process; a call under way does", async () => {
  const source = `
    offload(module, "later", ["done"]).then(async (value) => {
      console.log(value);
    });
  `;
  const startedAt = performance.now();
  expect(await program(source)).toBe("done\n");
  expect(performance.now() - startedAt).toBeLessThan(9000); // it would be the idle time
});

test("piscina is not loaded before the first call", async () => {
  const source = `
    import { createRequire } from "node:module";
    const { cache } = createRequire(module);
    const loaded = () => Object.keys(cache).some((path) => path.includes("piscina"));
    console.log(loaded());
    await offload(module, "use", []);
    console.log(loaded());
  `;
  expect(await program(source)).toBe("false\ntrue\n");
});

test("a thread that cannot even start is an error, not a call that never ends", async () => {
  const broken = `data:text/javascript,import { isMainThread } from "node:worker_threads"; if (!isMainThread) throw new RangeError("no threads here");`;
  const source = `console.log(await offload(module, "use", []).catch((error) => error.name + " " + error.cause.name));`;
  expect(await program(source, "--no-warnings", "--import", broken)).toBe("ThreadLostError RangeError\n");
  const leaving = broken.replace(/throw .*;/, "process.exit(0);");
  expect(await program(source.replace("error.cause.name", "error.message"), "--import", leaving)).toBe("ThreadLostError the thread ended before its work did: threads end before they can begin\n");
});

test("a call that does not fit the function is a type error", () => {
  const calls = (): void => {
    // @ts-expect-error -- a number where the function takes bytes
    void offload<Offloaded, "sizeOf">(module, "sizeOf", [3]);
    // @ts-expect-error -- one argument too few
    void offload<Offloaded, "sizeOf">(module, "sizeOf", []);
    // @ts-expect-error -- no such function
    void offload<Offloaded, "gone">(module, "gone", []);
    // @ts-expect-error -- a storage of other values than that of the module
    void offload<Offloaded, "use">(module, "use", [], { context: { user: offloaded.request } });
    // @ts-expect-error -- the module exports no such storage
    void offload<Offloaded, "use">(module, "use", [], { context: { use: offloaded.user } });
  };
  expect(calls).toBeTypeOf("function");
});
