/** A dump as lines of the log: one of the process, and one a task. */
import type { PoolDump } from "../control/verbs.ts";
import type { Logger } from "../log.ts";
import { seconds } from "./quantity.ts";
import { waitPlace } from "./stack.ts";

export function logDump({ pool, at, uptimeMs, eventLoop, memory, resources, tasks, debug }: PoolDump, log: Logger): void {
  const { id, state, slots, running, stuck, ended, queues } = pool;
  log.info({ id, state, slots, running, stuck, ended, queues, uptimeMs, eventLoop, memory, resources, debug }, `dump: ${running} of ${slots} slots run a task`);
  for (const { queue, name, id: job, attempt, startedAt, progress, interruption, stuck: isStuck, waitsAt } of tasks) {
    const place = waitPlace(waitsAt);
    const facts = { queue, job: name, id: job, attempt, ageMs: at - startedAt, progress, interruption, ...(isStuck && { stuck: true }), ...(waitsAt !== null && { waitsAt }) };
    log.info(facts, `dump: ${name} ${job} runs for ${seconds(at - startedAt)}${place === undefined ? "" : `, ${place}`}`);
  }
}
