/** What a put stores of a contract and of its own options, in the form that BullMQ's workers read as well. */
import type { JobDefinition, KeepDefinition } from "../job/contract.ts";
import { checkDue, type CheckedPut } from "../job/put-options.ts";
import type { NewJob } from "../store/put.ts";

/**
 * A job as the store takes it.
 *
 * Attempts, back-off and retention are stored with the job, so that a stock worker of the same queue keeps the
 * contract too. Its `max` of the back-off only we know.
 *
 * @throws OptionError when it would be due when it is too late for it
 */
export function storedForm(definition: JobDefinition, id: string, data: string, options: CheckedPut): NewJob {
  checkDue(options, options.deadlineMs ?? definition.deadlineMs);
  return {
    id,
    name: definition.name,
    data,
    options: optionsText(definition, options),
    delayMs: options.delayMs,
    runAtMs: options.runAtMs ?? 0,
    priority: options.priority,
    lifo: options.lifo,
    timeoutMs: options.timeoutMs ?? 0,
    deadlineMs: options.deadlineMs ?? 0,
    expireAtMs: options.expireAtMs ?? 0,
  };
}

/** Most puts of a contract have no options of their own: their text is made once. */
const plain = new WeakMap<JobDefinition, string>();

function optionsText(definition: JobDefinition, options: CheckedPut): string {
  const own = options.attempts !== undefined || options.delayMs > 0 || options.priority > 0 || options.lifo;
  if (own) return JSON.stringify(bullmqOptions(definition, options));
  let text = plain.get(definition);
  if (text === undefined) {
    text = JSON.stringify(bullmqOptions(definition, options));
    plain.set(definition, text);
  }
  return text;
}

function bullmqOptions({ attempts, backoff, keep, version }: JobDefinition, options: CheckedPut): object {
  return {
    attempts: options.attempts ?? attempts,
    backoff: { type: backoff.type, delay: backoff.baseMs, jitter: backoff.jitter, max: backoff.maxMs },
    removeOnComplete: bullmqKeep(keep.completed),
    removeOnFail: bullmqKeep(keep.failed),
    ...(options.delayMs > 0 && { delay: options.delayMs }),
    ...(options.priority > 0 && { priority: options.priority }),
    ...(options.lifo && { lifo: true }),
    mv: version,
  };
}

/** BullMQ counts age in seconds. */
function bullmqKeep({ count, ageMs }: KeepDefinition): object {
  return { ...(count !== undefined && { count }), ...(ageMs !== undefined && { age: Math.ceil(ageMs / 1000) }) };
}
