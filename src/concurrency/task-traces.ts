/**
 * What debug mode knows of tasks: where each was spawned and where it waits, and which of them nobody awaits or nothing
 * can end any more.
 *
 * A task waits where it was at an `await` last: in the innermost of functions that await one another. That is seen by
 * hooks on promises, which cost some microseconds an await: the price of debug mode. Where one task awaits several things
 * at once, one of the last of them is shown.
 */
import { innermostScope, type Scope } from "./scope.ts";
import { placeOf, programFrames } from "./stack-frames.ts";
import { liveTasks, observeTasks, OwnedTask, surroundingTask, type TaskObserver } from "./task.ts";

/** Read when it is asked for: the runtime writes the text of a stack only then. */
interface Trace {
  readonly stack: string;
  /** When it was taken, as a number of promises. */
  readonly at: number;
  /** The one before, for when this shows nothing of the program: what follows a promise that was returned, say. */
  before: Trace | undefined;
}

/** Enough to get out of this toolkit and into the program. */
const DEPTH = 16;
const KEPT = 3;

export class TaskTraces implements TaskObserver, Disposable {
  readonly #spawnedAt = new WeakMap<OwnedTask<unknown>, Trace>();
  readonly #waitsAt = new WeakMap<OwnedTask<unknown>, Trace>();
  readonly #spawnedIn = new WeakMap<OwnedTask<unknown>, Scope>();
  readonly #told = new WeakSet<OwnedTask<unknown>>();
  /** Of each task that runs, by what its body returned: when that is garbage, nothing can end the task any more. */
  readonly #works = new FinalizationRegistry<WeakRef<OwnedTask<unknown>>>((task) => this.#lost(task.deref()));
  readonly #unawaited = new FinalizationRegistry<string>((message) => process.emitWarning(message, "UnawaitedTaskWarning"));
  readonly #stopHooks: () => void;
  readonly #replaced: TaskObserver | undefined;
  /** What the toolkit itself awaits: that a task awaits its body says nothing. */
  #work: PromiseLike<unknown> | undefined;
  /** Of promises, by which time is told here: when each was made. */
  readonly #madeAt = new WeakMap<Promise<unknown>, number>();
  #made = 0;
  #resumedAt = 0;

  constructor() {
    const init = (promise: Promise<unknown>, awaited: Promise<unknown> | undefined): void => {
      this.#made += 1;
      // The promise of an await has what is awaited for its parent.
      const since = awaited === undefined ? this.#made : this.#madeAt.get(awaited);
      if (since !== undefined) this.#madeAt.set(promise, since);
      if (awaited === undefined) return;
      if (awaited === this.#work) this.#work = undefined;
      else this.#awaits(init, since);
    };
    const before = (): void => void (this.#resumedAt = this.#made);
    this.#stopHooks = process.getBuiltinModule("node:v8").promiseHooks.createHook({ init, before }) as () => void;
    this.#replaced = observeTasks(this);
    process.on("beforeExit", this.#nothingLeft);
  }

  [Symbol.dispose](): void {
    this.#stopHooks();
    observeTasks(this.#replaced);
    process.off("beforeExit", this.#nothingLeft);
  }

  spawned(task: OwnedTask<unknown>): void {
    this.#spawnedAt.set(task, trace(this.spawned, this.#made));
    const scope = innermostScope();
    if (scope !== undefined) this.#spawnedIn.set(task, scope);
  }

  working(task: OwnedTask<unknown>, work: PromiseLike<unknown>): void {
    this.#work = work;
    if (work instanceof Promise) this.#works.register(work, new WeakRef(task));
  }

  unawaited(task: OwnedTask<unknown>): void {
    this.#unawaited.register(task, `task ${task.name} has ended and nobody awaited it${this.origin(task)}`, task);
  }

  seen(task: OwnedTask<unknown>): void {
    this.#unawaited.unregister(task);
  }

  origin(task: OwnedTask<unknown>): string {
    const place = placeOf(this.spawnedAt(task));
    return place === undefined ? "" : `, spawned at ${place}`;
  }

  /** As `origin`, and where it awaited last: what it does now came after that. */
  lastSeen(task: OwnedTask<unknown>): string {
    const place = placeOf(this.waitsAt(task));
    return `${place === undefined ? "" : `, after its await at ${place}`}${this.origin(task)}`;
  }

  /** Of the tasks that were spawned in a group, but not by it, those that still run and that nobody awaits. */
  groupEnded(group: Scope): void {
    for (const task of liveTasks()) if (!task.followed && this.#isWithin(task, group)) this.leftBehind(task, "the task group around it");
  }

  /** It still ran when that had ended. */
  leftBehind(task: OwnedTask<unknown>, that: string): void {
    if (this.#told.has(task)) return;
    this.#told.add(task);
    process.emitWarning(`task ${task.name} still ran when ${that} had ended, which did not await it${this.origin(task)}`, "UnawaitedTaskWarning");
  }

  spawnedAt(task: OwnedTask<unknown>): string[] {
    return framesOf(this.#spawnedAt.get(task));
  }

  /** Empty while it has not awaited anything yet. */
  waitsAt(task: OwnedTask<unknown>): string[] {
    return framesOf(this.#waitsAt.get(task));
  }

  #isWithin(task: OwnedTask<unknown>, group: Scope): boolean {
    let scope = this.#spawnedIn.get(task);
    while (scope !== undefined && scope !== group) scope = scope instanceof OwnedTask ? this.#spawnedIn.get(scope) : scope.outer;
    return scope === group;
  }

  /** @param since  when what is awaited was made; undefined where that is not known */
  #awaits(from: (...args: never) => unknown, since: number | undefined): void {
    const task = surroundingTask();
    if (task === undefined) return;
    const last = this.#waitsAt.get(task);
    // A function awaits one that it has just called, and which came to an await of its own within that call.
    if (last !== undefined && since !== undefined && since > this.#resumedAt && since < last.at) return;
    this.#waitsAt.set(task, trace(from, this.#made, last));
  }

  #lost(task: OwnedTask<unknown> | undefined): void {
    if (task === undefined || task.done || this.#told.has(task)) return;
    this.#told.add(task);
    const place = placeOf(this.waitsAt(task));
    const where = place === undefined ? "" : `: it waits at ${place} for what nothing can settle any more`;
    process.emitWarning(`task ${task.name} is lost while pending${where}${this.origin(task)}`, "LostTaskWarning");
  }

  /** The loop is empty, so what is pending now stays so. */
  readonly #nothingLeft = (): void => {
    for (const task of liveTasks()) this.#lost(task);
  };
}

function trace(from: (...args: never) => unknown, at: number, before?: Trace): Trace {
  const trace = { at, before } as Trace;
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = DEPTH;
  Error.captureStackTrace(trace, from);
  Error.stackTraceLimit = stackTraceLimit;
  let oldest: Trace | undefined = trace;
  for (let kept = 1; kept < KEPT; kept += 1) oldest = oldest?.before;
  if (oldest !== undefined) oldest.before = undefined;
  return trace;
}

function framesOf(trace: Trace | undefined): string[] {
  if (trace === undefined) return [];
  const frames = programFrames(trace.stack);
  return frames.length > 0 ? frames : framesOf(trace.before);
}
