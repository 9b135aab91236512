/** Tasks that begin and end together, as asyncio's `TaskGroup`. */
import { CancelledError, OptionError, StateError } from "../errors.ts";
import { taskTraces } from "./debug.ts";
import { Roster } from "./roster.ts";
import { cancellationReason, Scope } from "./scope.ts";
import { type OwnedTask, type SpawnOptions, start, signalTaker, type Task, type TaskOwner, taskTaker } from "./task.ts";

export interface TaskGroup {
  /** Fires when a child fails, when the group is cancelled, or what encloses it is. */
  readonly signal: AbortSignal;
  /**
   * Starts a task of the group.
   *
   * @throws StateError when the group has ended; the group's reason when it is being cancelled
   */
  spawn<T>(body: (signal: AbortSignal) => PromiseLike<T>, options?: SpawnOptions): Task<T>;
  /** As `spawn`, but the body gets its task, whose signal is only made when it is read. */
  startTask<T>(body: (task: Task<T>) => PromiseLike<T>, options?: SpawnOptions): Task<T>;
  /**
   * Ends the group early, as when the first result is enough: its body and children are cancelled, which is no error.
   * Does nothing when it is ending already.
   *
   * @param reason  as for `Task.cancel`
   */
  cancel(reason?: unknown): void;
}

/**
 * Runs `body`, then waits for every task it started. The first error cancels all the others, the body too. A child that
 * ends by a cancellation of its own is no error. When what encloses the group is cancelled, so are its body and children.
 *
 * ```ts
 * await taskGroup(async (group) => {
 *   group.spawn((signal) => fetch(first, { signal }));
 *   group.spawn((signal) => fetch(second, { signal }));
 * });
 * ```
 *
 * A callback, not `await using`, since a disposer cannot learn that the body threw.
 *
 * @returns what the body returned; undefined when the body was ended by the group's `cancel()`
 * @throws AggregateError with every error, the body's last; before a cancellation, which is thrown only when there is no error
 */
export async function taskGroup<T>(body: (group: TaskGroup) => PromiseLike<T>): Promise<T> {
  if (typeof body !== "function") throw new OptionError(`expected a function of a group for taskGroup, got ${typeof body}`);
  const group = new GroupScope();
  group.enter();
  try {
    return await group.run(body);
  } finally {
    group.leave();
  }
}

class GroupScope extends Scope implements TaskGroup, TaskOwner {
  readonly #children = new Roster<OwnedTask<unknown>>();
  readonly #errors: unknown[] = [];
  #aborting = false;
  #bodyEnded = false;
  /** By its own `cancel()`. */
  #calledOff = false;
  /** Nobody else can report that the enclosing work was cancelled: the body had ended, or children were cut short. */
  #owesCancellation = false;
  #emptied: (() => void) | undefined = undefined;

  async run<T>(body: (group: TaskGroup) => PromiseLike<T>): Promise<T> {
    let value: T | undefined;
    let failure: { readonly error: unknown; readonly byCancellation: boolean } | undefined;
    try {
      value = await this.inside(body, this);
    } catch (error) {
      failure = { error, byCancellation: this.endedBy(error) };
      this.#abort(new CancelledError("the body of the task group ended by an error", { cause: error }));
    }
    this.#bodyEnded = true;
    while (this.#children.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
    this.open = false;
    taskTraces()?.groupEnded(this);

    if (failure?.byCancellation === false) this.#errors.push(failure.error);
    if (this.#errors.length > 0) {
      if (this.outsideReason !== undefined && this.outer !== undefined) this.outer.pending = true;
      throw new AggregateError(this.#errors, messageFor(this.#errors));
    }
    if (failure !== undefined && !this.#calledOff) throw failure.error;
    if (this.#owesCancellation || (failure !== undefined && this.outsideReason !== undefined)) throw this.outsideReason as Error;
    return value as T;
  }

  spawn<T>(body: (signal: AbortSignal) => PromiseLike<T>, options?: SpawnOptions): Task<T> {
    return this.#start(signalTaker(body), options);
  }

  startTask<T>(body: (task: Task<T>) => PromiseLike<T>, options?: SpawnOptions): Task<T> {
    return this.#start(taskTaker(body), options);
  }

  cancel(reason?: unknown): void {
    if (!this.open || this.#aborting) return;
    this.#calledOff = true;
    this.#abort(cancellationReason(reason, () => "the task group was cancelled"));
  }

  taskDone(task: OwnedTask<unknown>): void {
    this.#children.leave(task.ownedAt!);
    if (task.failed) {
      this.#errors.push(task.ending);
      this.#abort(new CancelledError(`task ${task.name} of the same group failed`, { cause: task.ending }));
    }
    if (this.#children.size === 0) this.#emptied?.();
  }

  override interrupt(reason: Error): void {
    super.interrupt(reason);
    if (!this.open || (!this.#bodyEnded && this.#children.size === 0)) return;
    this.#owesCancellation = true;
    this.pending = false;
    this.#aborting = true;
    this.#cancelChildren(reason);
  }

  #start<T>(body: (task: OwnedTask<T>) => PromiseLike<T>, options: SpawnOptions | undefined): OwnedTask<T> {
    if (!this.open || (this.#bodyEnded && this.#children.size === 0)) {
      throw new StateError("expected a task group that still runs: this one has ended, and nothing can be added to it");
    }
    if (this.#aborting || this.pending) {
      this.pending = false;
      throw this.reason as Error;
    }
    const task = start(body, options, this);
    task.ownedAt = this.#children.add(task as OwnedTask<unknown>);
    return task;
  }

  /** The group ends by an error of its own, or by `cancel()`. */
  #abort(reason: Error): void {
    if (this.#aborting) return;
    this.#aborting = true;
    super.interrupt(reason);
    this.#cancelChildren(reason);
  }

  #cancelChildren(reason: Error): void {
    for (const child of this.#children) child.cancel(reason);
  }
}

function messageFor(errors: readonly unknown[]): string {
  const [first] = errors;
  const text = first instanceof Error ? first.message : String(first);
  return errors.length === 1 ? `an error in a task group: ${text}` : `${errors.length} errors in a task group, first: ${text}`;
}
