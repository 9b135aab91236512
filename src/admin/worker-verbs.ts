/**
 * What an operator tells running workers, and asks of them. Each answers within a second, or is named as one that did not:
 * it will not do it later either.
 */
import type { LogLevel } from "../config.ts";
import { ask, type NamedPool } from "../control/ask.ts";
import { checkArgs, type PoolDump, type PoolEnd, type PoolStand, type ScaledPool, type Verb, type Verbs } from "../control/verbs.ts";
import { registeredPools } from "../control/registry.ts";
import { sleep } from "../concurrency/sleep.ts";
import { TimeoutError } from "../errors.ts";
import { check, checkOptions, type Duration } from "../options.ts";
import type { Operator } from "./operator.ts";
import { checkWorkers, findWorkers, type Workers } from "./workers.ts";

/** A worker, and what it answered. */
export type WorkerAnswer<T> = NamedPool & { readonly value: T };

/** What came of one message to some workers. */
export interface WorkerAnswers<T> {
  readonly answers: readonly WorkerAnswer<T>[];
  /** They answered that they cannot, and why. */
  readonly refused: readonly (NamedPool & { readonly error: { readonly code: string; readonly message: string } })[];
  /** They run, and did not answer within a second: their event loop is blocked, they are stopped, or they have just died. */
  readonly unanswered: readonly NamedPool[];
}

/** What packing and sending a profile may take beyond its seconds. */
const PROFILE_MARGIN_MS = 15_000;
const LOOK_EVERY_MS = 200;

/** @throws OptionError; NotFoundError; BackendError, as all of these */
export function pingWorkers(operator: Operator, workers: Workers): Promise<WorkerAnswers<PoolStand>> {
  return look(operator, "ping", workers, {});
}

/** They take no new jobs; what runs goes on. @throws ReadOnlyError, too, as all that change something */
export function quietWorkers(operator: Operator, workers: Workers): Promise<WorkerAnswers<PoolStand>> {
  return change(operator, "quiet", workers, {});
}

/** Those that are quiet take jobs again. */
export function resumeWorkers(operator: Operator, workers: Workers): Promise<WorkerAnswers<PoolStand>> {
  return change(operator, "resume", workers, {});
}

export interface StopWorkersOptions {
  /** Waits until they are gone, for so long at most. @default not at all */
  readonly wait?: Duration;
  readonly signal?: AbortSignal;
}

/**
 * They end as by SIGTERM: no new jobs, what runs may finish, what does not is given back. A supervisor starts nobody in their
 * place; a process manager may.
 *
 * @throws TimeoutError when one that has answered is there longer than it is waited for; the signal's reason
 */
export async function stopWorkers(operator: Operator, workers: Workers, options?: StopWorkersOptions): Promise<WorkerAnswers<PoolEnd>> {
  const { wait, signal } = checkOptions("stopWorkers", options, { wait: check.duration(), signal: check.signal() });
  const stopped = await change(operator, "stop", workers, {});
  if (wait !== undefined) await gone(operator, stopped.answers, wait, signal);
  return stopped;
}

/** Their supervisors replace them: another process starts, and when it is ready each stops. One without a supervisor refuses. */
export function restartWorkers(operator: Operator, workers: Workers): Promise<WorkerAnswers<PoolEnd>> {
  return change(operator, "restart", workers, {});
}

/** Each runs so many tasks at once from now on, until it ends. */
export function scaleWorkers(operator: Operator, workers: Workers, concurrency: number): Promise<WorkerAnswers<ScaledPool>> {
  return change(operator, "scale", workers, { concurrency });
}

/** The level of their logs, from now on until they end. */
export function setWorkerLogLevel(operator: Operator, workers: Workers, level: LogLevel): Promise<WorkerAnswers<Verbs["log-level"]["value"]>> {
  return change(operator, "log-level", workers, { level });
}

/**
 * Debug mode of their processes, from now on until they end: `dumpWorkers` then tells where tasks wait that begin or resume to
 * wait from now on. Of a task that waits for one promise all along, or runs on a thread of its own, it cannot.
 */
export function setWorkerDebug(operator: Operator, workers: Workers, on: boolean): Promise<WorkerAnswers<Verbs["debug"]["value"]>> {
  return change(operator, "debug", workers, { on });
}

/** What each is doing: its tasks and where they wait, its event loop, its memory. */
export function dumpWorkers(operator: Operator, workers: Workers): Promise<WorkerAnswers<PoolDump>> {
  return look(operator, "dump", workers, {});
}

/** Where they spend their time, for so many seconds from 0.1 to 60: each value is the JSON of a `.cpuprofile`. */
export async function profileWorkers(operator: Operator, workers: Workers, seconds: number): Promise<WorkerAnswers<string>> {
  const { answers, ...others } = await look(operator, "profile", workers, { seconds }, seconds * 1000 + PROFILE_MARGIN_MS);
  const { gunzipSync } = process.getBuiltinModule("node:zlib");
  return { ...others, answers: answers.map(({ value, ...pool }) => ({ ...pool, value: gunzipSync(Buffer.from(value.gzip, "base64")).toString() })) };
}

function change<V extends Verb>(operator: Operator, verb: V, workers: Workers, args: Verbs[V]["args"]): Promise<WorkerAnswers<Verbs[V]["value"]>> {
  checkWorkers(workers);
  checkArgs(verb, args);
  const asked = workers === "all" ? "all" : workers.join(" ");
  return operator.change({ command: `worker ${verb}`, target: asked, details: { ...args } }, async (touch) => {
    const told = await look(operator, verb, workers, args);
    const { answers, refused, unanswered } = told;
    const others = { ...(refused.length > 0 && { refused: refused.map(named) }), ...(unanswered.length > 0 && { unanswered: unanswered.map(named) }) };
    // What was typed names others tomorrow.
    touch(answers.length, { target: namedAll(answers) || asked, details: { asked, ...args, ...others }, missed: missedBy(told) });
    return told;
  });
}

/** By the code that the command ends with: who did not answer weighs more. */
function missedBy({ refused, unanswered }: WorkerAnswers<unknown>): { readonly code: string; readonly message: string } | undefined {
  const isSilent = unanswered.length > 0;
  const code = isSilent ? "TIMEOUT" : refused[0]?.error.code;
  const reasons = refused.map((one) => `${named(one)} refused: ${one.error.message}`);
  return code === undefined ? undefined : { code, message: [...(isSilent ? [`no answer from ${namedAll(unanswered)}`] : []), ...reasons].join("; ") };
}

const NAMED_MOST = 50;

function named({ id, name }: NamedPool): string {
  return `${id} (${name})`;
}

function namedAll(pools: readonly NamedPool[]): string {
  const more = pools.length > NAMED_MOST ? [`${pools.length - NAMED_MOST} more`] : [];
  return [...pools.slice(0, NAMED_MOST).map(named), ...more].join(", ");
}

async function look<V extends Verb>(operator: Operator, verb: V, workers: Workers, args: Verbs[V]["args"], lastsMs?: number): Promise<WorkerAnswers<Verbs[V]["value"]>> {
  checkArgs(verb, args);
  const found = await findWorkers(operator, workers);
  const { answers, unanswered } = await ask(operator.connections, verb, args, workers === "all" ? "all" : found, lastsMs);
  return {
    answers: answers.flatMap((answer) => ("value" in answer ? [{ ...answer.pool, value: answer.value }] : [])),
    refused: answers.flatMap((answer) => ("error" in answer ? [{ ...answer.pool, error: answer.error }] : [])),
    unanswered,
  };
}

async function gone(operator: Operator, pools: readonly NamedPool[], waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  const waitedFrom = performance.now();
  for (;;) {
    const there = new Set((await registeredPools(operator.connections)).map(({ id }) => id));
    const left = pools.filter(({ id }) => there.has(id));
    if (left.length === 0) return;
    if (performance.now() - waitedFrom >= waitMs) throw new TimeoutError(`expected workers to be gone within ${waitMs} ms, but there are still ${left.map(named).join(", ")}`);
    await sleep(LOOK_EVERY_MS, signal === undefined ? {} : { signal });
  }
}
