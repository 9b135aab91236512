/** `worker start`: one process that runs a pool of handlers, or a supervisor of several. */
import { Supervised } from "../pool/supervised.ts";
import type { Context } from "./context.ts";

/** @returns the exit code */
export async function startWorker(context: Context): Promise<number> {
  const { processes, maxRssBytes, maxJobs } = context.config;
  const supervised = Supervised.here();
  // A limit is for somebody to watch: for one process too.
  const count = processes ?? (maxRssBytes === undefined && maxJobs === undefined ? undefined : 1);
  if (supervised !== undefined || count === undefined) return (await import("./worker.ts")).work(context, supervised);
  return (await import("./supervise.ts")).supervise(context, count);
}
