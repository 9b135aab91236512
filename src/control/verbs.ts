/** What a running pool can be told, and what it answers. */
import { LOG_LEVELS, type LogLevel } from "../config.ts";
import { check, type Check } from "../options.ts";
import type { PoolEntry, PoolState, RunningTask } from "./pool-entry.ts";

/** How a pool is after it was told to be another way. */
export interface PoolStand {
  readonly state: PoolState | "stopped";
  readonly running: number;
}

/** What becomes of a pool that was told to end. */
export interface PoolEnd extends PoolStand {
  /** What ends: the process of a worker; a pool alone where a program of the user's runs it. */
  readonly ends: "process" | "pool";
  /** Who starts another in its place; null is nobody of ours. */
  readonly replacedBy: "supervisor" | null;
}

export interface ScaledPool {
  readonly from: number;
  readonly to: number;
  /** How many of these its handlers may use, by their own concurrency. */
  readonly usable: number;
}

/** A task that runs, and where it waits: innermost first, and null where that is not known, as while debug mode is off. */
export interface DumpedTask extends RunningTask {
  readonly waitsAt: readonly string[] | null;
}

/** What a pool and its process are doing. */
export interface PoolDump {
  readonly pool: PoolEntry;
  /** By the server's clock. */
  readonly at: number;
  readonly uptimeMs: number;
  readonly node: string;
  readonly debug: boolean;
  /** The oldest of those that run. */
  readonly tasks: readonly DumpedTask[];
  readonly eventLoop: { readonly delayMs: PoolEntry["loopDelayMs"]; /** Of the process's life, from 0 to 1. */ readonly utilization: number };
  readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number; readonly heapTotalBytes: number; readonly heapLimitBytes: number; readonly externalBytes: number };
  /** What keeps the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
}

/** By verb: its argument, and what is answered. */
export interface Verbs {
  readonly ping: { readonly args: object; readonly value: PoolStand };
  readonly quiet: { readonly args: object; readonly value: PoolStand };
  readonly resume: { readonly args: object; readonly value: PoolStand };
  readonly stop: { readonly args: object; readonly value: PoolEnd };
  readonly restart: { readonly args: object; readonly value: PoolEnd };
  readonly scale: { readonly args: { readonly concurrency: number }; readonly value: ScaledPool };
  readonly dump: { readonly args: object; readonly value: PoolDump };
  /** The value is a .cpuprofile, packed by gzip, in base64. */
  readonly profile: { readonly args: { readonly seconds: number }; readonly value: { readonly gzip: string } };
  readonly "log-level": { readonly args: { readonly level: LogLevel }; readonly value: { readonly from: string; readonly to: string } };
  /** Debug mode, which is the whole process's. */
  readonly debug: { readonly args: { readonly on: boolean }; readonly value: { readonly from: boolean; readonly to: boolean } };
}
export type Verb = keyof Verbs;

export const LONGEST_PROFILE_S = 60;

type Checks<A> = { readonly [K in keyof A]: Check<A[K]> };
const argsOf: { readonly [V in Verb]: Checks<Verbs[V]["args"]> } = {
  ping: {},
  quiet: {},
  resume: {},
  stop: {},
  restart: {},
  scale: { concurrency: check.integer({ min: 1, max: 100_000 }) },
  dump: {},
  profile: { seconds: check.number({ min: 0.1, max: LONGEST_PROFILE_S }) },
  "log-level": { level: check.oneOf(...LOG_LEVELS) },
  debug: { on: check.boolean() },
};

/** Both sides check: the operator before anything is sent, and the pool since anybody may send. @throws OptionError */
export function checkArgs<V extends Verb>(verb: V, args: unknown): Verbs[V]["args"] {
  const given = (args ?? {}) as Record<string, unknown>;
  const checks = Object.entries(argsOf[verb] as Readonly<Record<string, Check<unknown>>>);
  return Object.fromEntries(checks.map(([name, one]) => [name, one(given[name], `${name} of ${verb}`)])) as Verbs[V]["args"];
}

export function isVerb(verb: string): verb is Verb {
  return Object.hasOwn(argsOf, verb);
}
