/**
 * Every queue of a prefix, for whoever begins with the first while others are looked for. To look at all keys takes Redis seconds
 * where there are millions; which queues somebody consumes, or has consumed lately, is known at once.
 */
import { consumedQueues } from "../control/registry.ts";
import { connectionNames, stockWorkers } from "../store/consumers.ts";
import { queueNames } from "../store/queue-names.ts";
import type { Operator } from "./operator.ts";

/** The names, each once: those with consumers first, by name, then the others as their keys are met. @throws BackendError */
export async function* searchQueues(operator: Operator): AsyncGenerator<string, void> {
  await operator.ready();
  const { connections, prefix } = operator;
  const { command } = connections;
  const [consumed, clients = []] = await Promise.all([consumedQueues(connections), connectionNames(command)]);
  yield* queueNames(command, prefix, [...consumed, ...stockWorkers(prefix, clients).keys()].toSorted());
}
