/** What can be waited for together: promises, functions of a signal, and handles of work done elsewhere. */
import { OptionError } from "../errors.ts";
import { shown } from "../options.ts";
import type { Interruptible } from "./sleep.ts";

/** Something whose result can be asked for, such as a job's handle. */
export interface ResultHandle<T = unknown> {
  result(options?: Interruptible): PromiseLike<T>;
}

/** A function is started by whoever takes it and can be cancelled; a promise runs already and cannot. */
export type Awaitable<T = unknown> = PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>) | ResultHandle<T>;

/** What waiting for it gives. */
export type ResultOf<W> =
  W extends PromiseLike<infer T> ? T
  : W extends (signal: AbortSignal) => PromiseLike<infer T> ? T
  : W extends { result(): PromiseLike<infer T> } ? T
  : never;

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null && "then" in value && typeof value.then === "function";
}

/** @throws OptionError when it cannot be waited for */
export function checkAwaitable(value: unknown, where: string): void {
  if (isPromiseLike(value) || typeof value === "function") return;
  if (typeof value === "object" && value !== null && "result" in value && typeof value.result === "function") return;
  throw new OptionError(`expected a promise, a function of a signal or a handle with result() for ${where}, got ${shown(value)}`);
}
