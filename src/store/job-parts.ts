/** What a key of a queue belongs to: to a job, as its hash or as a part that stands beside it, or to the queue. */
import { queueKeys } from "./keys.ts";

/** Parts of a job that a flow has to do with. */
export const FAMILY_PARTS = Object.freeze(["dependencies", "unsuccessful", "processed", "failed"]);
/** All of them: what is deleted with a job. */
export const JOB_PARTS: readonly string[] = Object.freeze(["logs", ...FAMILY_PARTS, "lock"]);

/** `bull:mail:17:logs` is the part "logs" of the job "17"; of its hash the part is undefined. */
export interface JobKey {
  readonly id: string;
  readonly part: string | undefined;
}

/** What a queue has of its own under one name, and what others of its names begin with. */
const OWN: ReadonlySet<string> = new Set([...Object.values(queueKeys("", "")).map((key) => key.slice(2)), "priority", "metrics", "de", "dn", "millrace"]);

/** @param rest  a key, without what all keys of its queue begin with */
export function jobKeyOf(rest: string): JobKey | undefined {
  const end = rest.lastIndexOf(":");
  const part = JOB_PARTS.find((each) => each === rest.slice(end + 1));
  const id = end === -1 || part === undefined ? rest : rest.slice(0, end);
  const isId = id.includes(":") ? /^repeat:.+:\d+$/.test(id) : id !== "" && !OWN.has(id);
  return isId ? { id, part: id === rest ? undefined : part } : undefined;
}
