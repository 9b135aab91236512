/**
 * Tells of callbacks that block the event loop: which task, for how long, and where it was stuck.
 *
 * How long, this thread measures, by hooks around every callback. Where, only another thread can ask while it lasts:
 * `watchdog-thread.ts`. A callback that ends in one native call (`return JSON.parse(text)`) runs none of its code
 * after that, so there is no stack to be seen; its task is told all the same.
 */
import { createHook, type AsyncHook } from "node:async_hooks";
import type { Worker } from "node:worker_threads";
import { isWithinNode, placeOf, programFrames } from "./stack-frames.ts";
import { type OwnedTask, surroundingTask } from "./task.ts";
import { instant } from "./thread-clock.ts";
import { threadEntry } from "./thread-entry.ts";
import type { Found, WatchdogData } from "./watchdog-thread.ts";

/** As asyncio's `slow_callback_duration`. */
const BLOCKED_MS = 100;
const BEAT_MS = 10;
/** Well before a block is one, so that it is still on when the answer is given, on a busy machine too. */
const ASK_MS = 60;
const TELL_MS = 1000;
/** What answers later than this was in a native call until then, and shows what came after. */
const NATIVE_MS = 30;
const DEPTH = 50;
const STUCK = Symbol.for("millrace.stuck");

/** What was found on top of whatever was stuck. */
interface Sample {
  /** The callback that ran, by number. */
  readonly callback: number;
  readonly task: string | undefined;
  readonly frames: readonly string[];
  readonly native: boolean;
}

export class Watchdog implements Disposable {
  readonly #origin: (task: OwnedTask<unknown>) => string;
  readonly #beat = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  readonly #hooks: AsyncHook;
  readonly #thread: Worker;
  readonly #timer: NodeJS.Timeout;
  #loop = performance.eventLoopUtilization();
  #callback = 0;
  #callbackOfTurn = 0;
  /** Callbacks within callbacks: what one calls counts as its own. */
  #depth = 0;
  /** At first of the callback that switches it on, of which only the end is seen. */
  #startedAt = performance.now();
  #sample: Sample | undefined;
  #found: { readonly message: string; readonly frames: readonly string[] }[] = [];

  /** @param origin  what else is known of where a task was, for when there is no stack */
  constructor(origin: (task: OwnedTask<unknown>) => string) {
    this.#origin = origin;
    this.#turned();
    Object.defineProperty(globalThis, STUCK, { value: (askedAt: number) => this.#stuck(askedAt), configurable: true });
    this.#hooks = createHook({ before: () => this.#begins(), after: () => this.#ends() }).enable();
    this.#timer = setInterval(() => this.#turns(), BEAT_MS).unref();
    const workerData: WatchdogData = { beat: this.#beat.buffer as SharedArrayBuffer, stuck: `globalThis[Symbol.for("millrace.stuck")]`, askMs: ASK_MS, tellMs: TELL_MS };
    const { Worker } = process.getBuiltinModule("node:worker_threads");
    // None of this process's flags: the thread is to load nothing of the program.
    this.#thread = new Worker(threadEntry(import.meta.url, "watchdog-thread"), { workerData, execArgv: [], env: {}, name: "watchdog" });
    this.#thread.unref();
    // What the exit takes is no callback's.
    process.on("exit", this.#end);
    this.#thread.on("error", (error) => process.emitWarning(`debug mode cannot see where the event loop is stuck: ${error.message}`, "BlockedLoopWarning"));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#hooks.disable();
    process.off("exit", this.#end);
    this.#end();
    Reflect.deleteProperty(globalThis, STUCK);
  }

  readonly #end = (): void => void this.#thread.terminate();

  #begins(): void {
    this.#depth += 1;
    if (this.#depth > 1) return;
    this.#callback += 1;
    this.#startedAt = performance.now();
  }

  #ends(): void {
    if (this.#depth > 0) this.#depth -= 1;
    if (this.#depth > 0) return;
    const ms = performance.now() - this.#startedAt;
    if (ms < BLOCKED_MS) return;
    const sample = this.#sample?.callback === this.#callback ? this.#sample : undefined;
    const task = surroundingTask();
    const { frames = [], native = false } = sample ?? {};
    const place = sample === undefined ? "where was not seen" : where(frames, native);
    const origin = frames.length === 0 && task !== undefined ? this.#origin(task) : "";
    this.#found.push({ message: `${who(task?.name ?? sample?.task)} blocked the event loop for ${Math.round(ms)} ms, ${place}${origin}`, frames });
    // What blocks next is a silence of its own.
    this.#turned();
  }

  /** By a timer, so the loop has turned. Warnings are given here, since a hook is no place to call others. */
  #turns(): void {
    // Without the time in which it waited for something to do, or the process was stopped while it did.
    const ms = performance.eventLoopUtilization(this.#loop).active;
    const sample = this.#sample;
    if (ms >= BLOCKED_MS && sample !== undefined && sample.frames.length > 0) {
      // Code that no hook surrounds, such as a module's own, or many callbacks none of which took long.
      const inOne = this.#callback - this.#callbackOfTurn <= 1;
      const how = inOne ? "blocked the event loop" : "went from await to await without ever waiting, so the event loop did not turn";
      this.#found.push({ message: `${who(sample.task)} ${how} for ${Math.round(ms)} ms, ${where(sample.frames, sample.native)}`, frames: sample.frames });
    }
    this.#turned();
    // A callback that threw has not told its end.
    this.#depth = 1;
    const found = this.#found;
    this.#found = [];
    for (const { message, frames } of found) process.emitWarning(message, { type: "BlockedLoopWarning", ...(frames.length > 0 && { detail: listed(frames) }) });
  }

  #turned(): void {
    this.#beat[0] = instant();
    this.#sample = undefined;
    this.#loop = performance.eventLoopUtilization();
    this.#callbackOfTurn = this.#callback;
  }

  /** Called by the watchdog's thread, on top of whatever is stuck. */
  #stuck(askedAt: number): Found {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = DEPTH;
    const { stack = "" } = new Error("stuck");
    Error.stackTraceLimit = stackTraceLimit;
    const frames = programFrames(stack);
    const native = instant() - askedAt > NATIVE_MS && !isWithinNode(stack);
    const task = surroundingTask()?.name;
    this.#sample = { callback: this.#callback, task, frames, native };
    return { text: `${who(task)} blocks the event loop, ${where(frames, native)}\n${listed(frames)}`, frames: frames.length };
  }
}

function who(task: string | undefined): string {
  return task === undefined ? "a callback of no task" : `task ${task}`;
}

function where(frames: readonly string[], native: boolean): string {
  const place = placeOf(frames);
  if (place === undefined) return "in a native call at its end, of which no stack is left";
  return native ? `in a native call at or just before ${place}` : `stuck at ${place}`;
}

function listed(frames: readonly string[]): string {
  return frames.map((frame) => `    at ${frame}`).join("\n");
}
