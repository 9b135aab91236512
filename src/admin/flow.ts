/** A flow: the tree of jobs that wait for one another, with the state of each. */
import { check, checkOptions } from "../options.ts";
import { readChildren, readLink } from "../store/children.ts";
import { inspectJobs } from "../store/inspect.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { checkJobId, findJob } from "./job-show.ts";
import type { Operator } from "./operator.ts";

export interface FlowNode {
  readonly queue: string;
  readonly id: string;
  /** Undefined when the job is gone: removed, or past its retention. */
  readonly name: string | undefined;
  /** As of a handle: of BullMQ's states, `cancelled`, or `removed`. */
  readonly state: string;
  /** The one that was asked for. */
  readonly asked: boolean;
  readonly children: readonly FlowNode[];
  /** Children that are not shown. */
  readonly more: number;
}

export interface FlowOptions {
  /** Jobs that are shown in all, at least 1. @default 500 */
  readonly limit?: number;
}

/** A flow may be deeper than anybody reads. */
const DEEPEST = 50;

/**
 * The whole flow that a job belongs to, from its root.
 *
 * @throws OptionError before any I/O; NotFoundError; BackendError
 */
export async function showFlow(operator: Operator, name: string, id: string, options?: FlowOptions): Promise<FlowNode> {
  const { limit = 500 } = checkOptions("showFlow", options, { limit: check.integer({ min: 1 }) });
  checkJobId(id);
  const { queue } = await findJob(operator, name, id);
  const root = await rootOf(operator, queue, id);
  return nodeOf(operator, root, { left: limit - 1, asked: queue.keys.base + id }, 0);
}

interface Place {
  readonly queue: StoredQueue;
  readonly id: string;
}

/** The last of the parents that is still there. */
async function rootOf(operator: Operator, queue: StoredQueue, id: string): Promise<Place> {
  let at: Place = { queue, id };
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    const link = await readLink(at.queue, at.id);
    const above = link?.parentKey === undefined ? undefined : placeOf(operator, at.queue, link.parentKey);
    if (above === undefined || (await readLink(above.queue, above.id)) === undefined) return at;
    at = above;
  }
  return at;
}

/** Of `prefix:queue:id`; undefined where it is under another prefix, which belongs to somebody else. */
function placeOf(operator: Operator, beside: StoredQueue, key: string): Place | undefined {
  const [, prefix, name, id] = /^([^:]*):([^:]*):(.+)$/s.exec(key) ?? [];
  if (name === undefined || id === undefined || name === "") return undefined;
  if (prefix === operator.prefix) return { queue: operator.queue(name), id };
  return prefix === beside.prefix && name === beside.name ? { queue: beside, id } : undefined;
}

async function nodeOf(operator: Operator, { queue, id }: Place, shared: { left: number; readonly asked: string }, depth: number): Promise<FlowNode> {
  const most = depth >= DEEPEST ? 0 : shared.left;
  const [link, [report], { keys, total }] = await Promise.all([readLink(queue, id), inspectJobs(queue, [id]), readChildren(queue, id, Math.max(1, most))]);
  const shown = keys.slice(0, most);
  shared.left -= shown.length;
  const children: FlowNode[] = [];
  for (const key of shown) {
    const place = placeOf(operator, queue, key);
    if (place !== undefined) children.push(await nodeOf(operator, place, shared, depth + 1));
  }
  children.sort((a, b) => (a.queue + a.id < b.queue + b.id ? -1 : 1));
  return { queue: queue.name, id, name: link?.name, state: report!.state, asked: queue.keys.base + id === shared.asked, children, more: total - children.length };
}
