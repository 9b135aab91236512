/** `job put`: one job, or one a line of standard input. */
import { addAbortSignal } from "node:stream";
import { timeout as withTimeout } from "../concurrency/timeout.ts";
import { numberOrText } from "../config.ts";
import { OptionError, PayloadError, TimeoutError } from "../errors.ts";
import { defineJob, typed, type Job } from "../job/contract.ts";
import { checkPut, type PutOptions } from "../job/put-options.ts";
import { durationMs, shown } from "../options.ts";
import type { JobHandle, Outcome } from "../queue/job-handle.ts";
import type { Queue } from "../queue/queue.ts";
import { openOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { findContract } from "./find-contract.ts";
import { inOrder } from "./in-order.ts";
import { describe } from "./output.ts";

/** The flags of the command, as text. */
export interface PutFlags {
  readonly wait?: true;
  readonly timeout?: string;
  readonly id?: string;
  readonly partitionKey?: string;
  readonly delay?: string;
  readonly priority?: string;
  readonly attempts?: string;
  readonly unchecked?: true;
  readonly queue?: string;
  readonly name?: string;
}

/** Jobs on their way at once; with `--wait`, jobs not ended yet, so that memory stays the same however many there are. */
const WIDTH = 200;

/**
 * Puts, and prints an id a job; with `--wait` prints each one's result instead, in the order of the input.
 *
 * @param name  the job's; with `--unchecked` the payload stands in its place
 * @param json  the payload, or `-` for one a line from standard input
 * @returns 1 when a job that was waited for did not complete
 */
export async function put(context: Context, name: string | undefined, json: string | undefined, flags: PutFlags): Promise<number> {
  const limitMs = waitLimitMs(flags);
  const options = putOptions(flags);
  checkPut(options);
  const { job, payload } = await target(name, json, flags);
  if (payload === "-" && options.id !== undefined) throw new OptionError("expected --id with one job, got it with standard input");
  const items = payload === "-" ? standardInput : only(payload === undefined ? undefined : parse(payload));
  await using operator = await openOperator(context);
  operator.assertMayChange("job put");
  // Without a contract nobody says in how many partitions the queue is.
  const queue = flags.unchecked === true ? await operator.queueNamed(job) : await operator.queueOf(job);
  const { signal } = context.interruption;
  let count = 0;
  const putting = (signal: AbortSignal): Promise<number> => putAll(context, queue, items, options, flags.wait === true, () => (count += 1), signal);
  try {
    return limitMs === undefined ? await putting(signal) : await withTimeout(limitMs, (limit) => putting(AbortSignal.any([limit, signal])));
  } catch (error) {
    throw error instanceof TimeoutError ? new TimeoutError(`expected what was put to end within ${limitMs} ms; it is not lost, and goes on`) : error;
  } finally {
    await operator.added({ command: "job put", target: queue.name, details: { name: job.name } }, count);
  }
}

interface Item {
  /** From 1, of standard input. */
  readonly line?: number;
  readonly value: unknown;
}

type Items = (signal: AbortSignal) => AsyncIterable<Item>;

async function putAll({ output }: Context, queue: Queue, items: Items, options: PutOptions, wait: boolean, added: () => number, signal: AbortSignal): Promise<number> {
  let failed = 0;
  let count = 0;
  const putOne = async ({ value, line }: Item): Promise<{ handle: JobHandle; outcome?: Outcome<unknown> }> => {
    const handle = await queue.put(value, { ...options, signal }).catch((error: unknown) => {
      throw placed(error, line, value);
    });
    if (handle.added) added();
    return wait ? { handle, outcome: await handle.outcome({ signal }) } : { handle };
  };
  try {
    await inOrder(
      items,
      WIDTH,
      putOne,
      async ({ handle, outcome }) => {
        count += 1;
        if (!handle.added) output.warning(`job ${handle.id} is there already: nothing was put`);
        if (outcome === undefined) return output.result(handle.id, { id: handle.id, added: handle.added });
        if (outcome.state !== "completed") failed += 1;
        await printOutcome(output, handle.id, outcome);
      },
      signal,
    );
  } catch (error) {
    if (!(error instanceof PayloadError) || items !== standardInput) throw error;
    throw new PayloadError(`${error.message} (${count} ${count === 1 ? "job was" : "jobs were"} put)`, error.issues);
  }
  return failed === 0 ? EXIT.done : EXIT.failed;
}

async function printOutcome(output: Context["output"], id: string, outcome: Outcome<unknown>): Promise<void> {
  if (outcome.state === "completed") {
    return output.result(JSON.stringify(outcome.result ?? null), { id, state: "completed", result: outcome.result ?? null });
  }
  const reason = reasonOf(outcome);
  if (!output.json) output.warning(`job ${id} ${outcome.state}: ${reason}`);
  await output.result(undefined, { id, state: outcome.state, error: outcome.state === "failed" ? describe(outcome.error) : { code: outcome.state.toUpperCase(), message: reason } });
}

function reasonOf(outcome: Exclude<Outcome<unknown>, { state: "completed" }>): string {
  switch (outcome.state) {
    case "failed":
      return outcome.error.message;
    case "cancelled":
      return outcome.reason;
    case "removed":
      return "removed before it ended";
    case "unknown":
      return "gone, and nothing tells how it ended";
  }
}

/** Says which line, and what to do when there was no payload at all. */
function placed(error: unknown, line: number | undefined, value: unknown): unknown {
  if (!(error instanceof PayloadError)) return error;
  if (line !== undefined) return new PayloadError(`line ${line}: ${error.message}`, error.issues);
  return value === undefined ? new PayloadError(`${error.message}; give the payload as JSON, or - for standard input`, error.issues) : error;
}

async function target(name: string | undefined, json: string | undefined, flags: PutFlags): Promise<{ job: Job; payload: string | undefined }> {
  const { queue, name: jobName, unchecked, wait } = flags;
  if (unchecked !== true) {
    if (queue !== undefined || jobName !== undefined) throw new OptionError("expected --unchecked with --queue and --name, which put without a contract");
    if (name === undefined) throw new OptionError("expected the name of a job, or --queue, --name and --unchecked; see millrace put --help");
    return { job: await findContract(name), payload: json };
  }
  if (queue === undefined || jobName === undefined) throw new OptionError("expected --queue and --name with --unchecked");
  if (json !== undefined) throw new OptionError(`expected the payload alone with --unchecked, got ${shown(name)} before it: the job's name is --name's`);
  // Who waits wants the result to be kept; else BullMQ's users decide how much is.
  const job = defineJob(jobName, { queue, payload: typed<unknown>(), ...(wait && { result: typed<unknown>() }) });
  return { job: job as Job, payload: name };
}

function putOptions({ id, partitionKey, delay, priority, attempts }: PutFlags): PutOptions {
  const options = {
    ...(id !== undefined && { id }),
    ...(partitionKey !== undefined && { partitionKey }),
    ...(delay !== undefined && { delay: durationMs(numberOrText(delay), "--delay") }),
    ...(priority !== undefined && { priority: numberOrText(priority) }),
    ...(attempts !== undefined && { attempts: numberOrText(attempts) }),
  };
  return options as PutOptions; // what is no number, put refuses
}

function waitLimitMs({ wait, timeout }: PutFlags): number | undefined {
  if (timeout === undefined) return undefined;
  if (wait !== true) throw new OptionError("expected --wait with --timeout");
  return durationMs(numberOrText(timeout), "--timeout");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new PayloadError(`expected JSON such as '{"path":"/etc/hosts"}' in quotes, got ${shown(text)}: ${(error as Error).message}`);
  }
}

async function* standardInput(signal: AbortSignal): AsyncGenerator<Item, void> {
  const { rowsOf } = await import("../../producers/lines.ts");
  for await (const row of rowsOf(addAbortSignal(signal, process.stdin), "ndjson")) {
    if ("error" in row) throw new PayloadError(`line ${row.line}: ${row.error}`);
    yield row;
  }
}

function only(value: unknown): Items {
  return async function* one() {
    yield { value };
  };
}
