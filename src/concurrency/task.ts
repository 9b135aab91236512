/**
 * Tasks: functions that run concurrently with whoever started them, as asyncio's `Task`.
 *
 * Cancelling is cooperative and counted. `cancel()` fires the task's signal; what waits on that signal rejects, and
 * the body may catch that, clean up and end as it likes. A body that ends by the cancellation makes its task
 * cancelled; one that returns a value all the same has completed, and its value stands.
 */
import { CancelledError, OptionError } from "../errors.ts";
import { type Place, Roster } from "./roster.ts";
import { cancellationReason, innermostScope, Scope } from "./scope.ts";
import { seen, unseenUntilGarbage } from "./unseen.ts";

export interface Task<T = unknown> extends PromiseLike<T> {
  readonly name: string;
  /** It has completed, failed or been cancelled. */
  readonly done: boolean;
  /** It ended by a cancellation: awaiting it throws CancelledError. */
  readonly cancelled: boolean;
  /** How it ended, for looking without waiting; undefined until then. A cancelled task is rejected with CancelledError. */
  readonly settled: PromiseSettledResult<T> | undefined;
  /** How many requests to cancel stand, asyncio's `cancelling()`. */
  readonly cancelling: number;
  /** Fires when the task is cancelled. After `uncancel()` to 0 it is a fresh one. */
  readonly signal: AbortSignal;
  /** The task that started this one, while both live. */
  readonly parent: Task | undefined;
  /** The tasks that this one has started and that live, oldest first. */
  readonly children: readonly Task[];
  /**
   * Asks the task to end. One that has not started yet never will.
   *
   * @param reason  an Error becomes the signal's reason itself, anything else the message of a CancelledError
   * @returns false when the task was done already
   */
  cancel(reason?: unknown): boolean;
  /** Takes one request to cancel back, for code that has dealt with it. Returns how many stand. */
  uncancel(): number;
  /** Calls back once when the task is done, in the order of the calls; at once when it is done already. */
  onDone(callback: (task: Task<T>) => void): void;
}

export interface SpawnOptions {
  /** For logs and lists of tasks. Default: `task-1`, `task-2`, … */
  readonly name?: string | undefined;
}

/** What keeps tasks together learns here of each end, without a closure a task. */
export interface TaskOwner {
  taskDone(task: OwnedTask<unknown>): void;
}

/** Debug mode's eye on tasks. */
export interface TaskObserver {
  spawned(task: OwnedTask<unknown>): void;
  /** Its body has been called, and the task ends when `work` does. */
  working(task: OwnedTask<unknown>, work: PromiseLike<unknown>): void;
  /** It has completed, and nobody waits for it by now. */
  unawaited(task: OwnedTask<unknown>): void;
  /** Somebody looked at how it ended after all. */
  seen(task: OwnedTask<unknown>): void;
  /** Where it was spawned, to be added to a message about it. */
  origin(task: OwnedTask<unknown>): string;
}

const live = new Roster<OwnedTask<unknown>>();
let lastNumber = 0;
/** Undefined while debug mode is off, which then costs a look at this and nothing else. */
let observer: TaskObserver | undefined;
/** Reading the clock is not free, so it is only read where somebody can ask for the age of tasks. */
let timed = false;

/**
 * Starts a task. Its body is called in a later microtask, so never before `spawn` has returned; a task that is
 * cancelled before then never calls it. Context (`AsyncLocalStorage`) flows into it. An error that nobody ever looks at
 * ends in a warning of the type `UnseenTaskError`, once the task is garbage.
 *
 * ```ts
 * const task = spawn((signal) => sleep("1s", { signal }), { name: "nap" });
 * task.cancel();
 * ```
 */
export function spawn<T>(body: (signal: AbortSignal) => PromiseLike<T>, options?: SpawnOptions): Task<T> {
  return start(signalTaker(body), options);
}

/** As `spawn`, but the body gets its task: the cheaper way, since a signal is only made when `task.signal` is read. */
export function startTask<T>(body: (task: Task<T>) => PromiseLike<T>, options?: SpawnOptions): Task<T> {
  return start(taskTaker(body), options);
}

/** The task that the running code belongs to; undefined outside of any. */
export function currentTask(): Task | undefined {
  return current();
}

/** Every task that is not done, oldest first. */
export function allTasks(): Task[] {
  return [...live];
}

/** The task that the running code belongs to, also when that has ended. */
export function surroundingTask(): OwnedTask<unknown> | undefined {
  let scope = innermostScope();
  while (scope !== undefined && !(scope instanceof OwnedTask)) scope = scope.outer;
  return scope;
}

/** From now on; undefined ends it. Gives who observed until now. */
export function observeTasks(next: TaskObserver | undefined): TaskObserver | undefined {
  const last = observer;
  observer = next;
  return last;
}

/** Tasks that are spawned from now on know when they were. */
export function timeTasks(): void {
  timed = true;
}

export function liveTasks(): Iterable<OwnedTask<unknown>> {
  return live;
}

export function start<T>(body: (task: OwnedTask<T>) => PromiseLike<T>, options?: SpawnOptions, owner?: TaskOwner): OwnedTask<T> {
  const task = new OwnedTask<T>(options?.name, owner);
  void task.inside(drive<T>, task, body);
  return task;
}

export function signalTaker<T>(body: (signal: AbortSignal) => PromiseLike<T>): (task: OwnedTask<T>) => PromiseLike<T> {
  taskTaker(body);
  return (task) => body(task.signal);
}

export function taskTaker<F>(body: F): F {
  if (typeof body !== "function") throw new OptionError(`expected a function for the body of a task, got ${typeof body}: a promise has started already`);
  return body;
}

async function drive<T>(task: OwnedTask<T>, body: (task: OwnedTask<T>) => PromiseLike<T>): Promise<void> {
  // oxlint-disable-next-line typescript/await-thenable -- a microtask later
  await undefined;
  if (task.pending) return task.finish("rejected", task.reason);
  let value: T;
  try {
    const work = body(task);
    observer?.working(task, work);
    value = await work;
  } catch (error) {
    return task.finish("rejected", error);
  }
  task.finish("fulfilled", value);
}

function current(): OwnedTask<unknown> | undefined {
  const task = surroundingTask();
  return task?.open === true ? task : undefined;
}

export class OwnedTask<T> extends Scope implements Task<T> {
  cancelling = 0;
  cancelled = false;
  /** By `performance.now()`; undefined when nobody has asked for times. */
  readonly spawnedAtMs = timed ? performance.now() : undefined;
  #parent: OwnedTask<unknown> | undefined;
  /** In the order of the spawns. */
  readonly id = (lastNumber += 1);
  readonly #name: string | undefined;
  readonly #place: Place<OwnedTask<unknown>>;
  /** Among the tasks of its owner. */
  ownedAt: Place<OwnedTask<unknown>> | undefined = undefined;
  #owner: TaskOwner | undefined;
  #outcome: "fulfilled" | "rejected" | undefined = undefined;
  #value: unknown = undefined;
  #promise: Promise<T> | undefined = undefined;
  #resolve: ((value: unknown) => void) | undefined = undefined;
  #reject: ((error: unknown) => void) | undefined = undefined;
  #callbacks: (() => void)[] | undefined = undefined;

  constructor(name: string | undefined, owner: TaskOwner | undefined) {
    super();
    this.#name = name;
    this.#owner = owner;
    this.#parent = current();
    this.#place = live.add(this);
    observer?.spawned(this);
  }

  get name(): string {
    return this.#name ?? `task-${this.id}`;
  }

  get parent(): Task | undefined {
    return this.#parent?.open === true ? this.#parent : undefined;
  }

  get children(): Task[] {
    return [...live].filter((task) => task.parent === this);
  }

  get done(): boolean {
    return this.#outcome !== undefined;
  }

  get settled(): PromiseSettledResult<T> | undefined {
    if (this.#outcome === undefined) return undefined;
    observer?.seen(this);
    if (this.#outcome === "fulfilled") return { status: "fulfilled", value: this.#value as T };
    seen(this);
    return { status: "rejected", reason: this.#value };
  }

  cancel(reason?: unknown): boolean {
    if (this.#outcome !== undefined) return false;
    this.cancelling += 1;
    this.interrupt(cancellationReason(reason, () => `task ${this.name} was cancelled`));
    return true;
  }

  uncancel(): number {
    if (this.cancelling > 0) this.cancelling -= 1;
    if (this.cancelling === 0) this.forgive();
    return this.cancelling;
  }

  onDone(callback: (task: Task<T>) => void): void {
    if (this.#outcome !== undefined) {
      observer?.seen(this);
      callback(this);
    } else if (this.#callbacks === undefined) this.#callbacks = [() => callback(this)];
    else this.#callbacks.push(() => callback(this));
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a task is awaited
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#promise ??= new Promise<T>((resolve, reject) => {
      this.#resolve = resolve as (value: unknown) => void;
      this.#reject = reject;
    });
    if (this.#outcome !== undefined) {
      observer?.seen(this);
      this.#settlePromise();
    }
    return this.#promise.then(onFulfilled, onRejected);
  }

  finish(outcome: "fulfilled" | "rejected", value: unknown): void {
    this.open = false;
    this.#outcome = outcome;
    this.cancelled = outcome === "rejected" && this.endedBy(value);
    this.#value = this.cancelled ? asCancelled(value) : value;
    this.#parent = undefined;
    live.leave(this.#place);
    if (this.#promise === undefined && this.#owner === undefined) this.#endedAlone(value);
    this.#owner?.taskDone(this);
    this.#settlePromise();
    if (this.#callbacks !== undefined) for (const callback of this.#callbacks) callback();
    this.#callbacks = undefined;
    this.#owner = undefined;
  }

  /** For owners: the value or the error that it ended with. */
  get ending(): unknown {
    return this.#value;
  }

  get failed(): boolean {
    return this.#outcome === "rejected" && !this.cancelled;
  }

  /** Somebody waits for its end, or will hear of it. */
  get followed(): boolean {
    return this.#promise !== undefined || this.#callbacks !== undefined || this.#owner !== undefined;
  }

  #endedAlone(value: unknown): void {
    if (this.failed) unseenUntilGarbage(this, `task ${this.name}${observer?.origin(this) ?? ""}`, value);
    else if (!this.cancelled && this.#callbacks === undefined) observer?.unawaited(this);
  }

  #settlePromise(): void {
    if (this.#resolve === undefined) return;
    if (this.#outcome === "fulfilled") this.#resolve(this.#value);
    else this.#reject?.(this.#value);
    this.#resolve = this.#reject = undefined;
    if (this.#outcome === "rejected") seen(this);
  }
}

/** Awaiting a cancelled task throws CancelledError, whatever error its body ended by. */
function asCancelled(error: unknown): CancelledError {
  if (error instanceof CancelledError) return error;
  return new CancelledError(error instanceof Error ? error.message : String(error), { cause: error });
}
