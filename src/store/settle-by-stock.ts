/**
 * Settles what our script leaves to BullMQ's own: jobs of a flow, and those that hold a deduplication id. And judges what
 * it refused: a settlement whose first answer was lost is done, not refused.
 */
import type { RedisQueueBackend } from "bullmq";
import { BackendError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { inspectJobs } from "./inspect.ts";
import type { Retention } from "./retention-script.ts";
import { SETTLE_CODES, type SettleCode, type Settlement } from "./settlement.ts";
import { CANCEL_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/**
 * `lost`: the lease had passed on or run out, or the job cannot end so, and it is not in the state that was asked for. The
 * reason of a cancel: nothing was done, since the job may now only complete or end as cancelled.
 */
export type Settled = "done" | "lost" | { readonly cancelReason: string };

/** `unanswered`: it may be settled or not, and may be sent again. */
export type Answer = Settled | "unanswered";

/**
 * What became of each settlement.
 *
 * @param codes    what our script said of each; none if all are done
 * @param hasRun   whether an earlier sending of them may have been applied
 */
export function readSettled(queue: StoredQueue, settlements: readonly Settlement[], codes: readonly SettleCode[], hasRun: boolean): readonly Answer[] | Promise<readonly Answer[]> {
  const answers = settlements.map((settlement, i): Answer | Promise<Answer> => {
    const code = codes[i];
    if (code === undefined || code === SETTLE_CODES.done) return "done";
    if (typeof code === "string") return { cancelReason: code };
    if (code === SETTLE_CODES.leftToStock) return settleByStock(queue, settlement);
    return hasRun ? judge(queue, settlement) : "lost";
  });
  if (!answers.some((answer) => answer instanceof Promise)) return answers as readonly Answer[];
  // oxlint-disable-next-line typescript/await-thenable -- most are answers already, and a promise a job costs
  return Promise.all(answers);
}

type StockJob = Parameters<RedisQueueBackend["moveToFailed"]>[0];
type StockArgs = ReturnType<RedisQueueBackend["moveToFailedArgs"]>;
type StockRetention = NonNullable<Parameters<RedisQueueBackend["moveToFailed"]>[2]>;

async function settleByStock(queue: StoredQueue, settlement: Settlement): Promise<Answer> {
  const { job, token } = settlement.leased;
  const attempts = settlement.kind === "fail" ? settlement.attempts : (job.options.attempts ?? 0);
  const stockJob = { id: job.id, name: job.name, opts: { ...job.options, attempts } } as unknown as StockJob;
  try {
    const backend = await queue.stock();
    const finish = (args: StockArgs): Promise<unknown> => {
      // By the server's clock: retention by age goes by it, and BullMQ would take this process's.
      args[backend.moveToFinishedKeys.length + 1] = queue.connections.clock.now();
      return backend.moveToFinished(job.id, args);
    };
    const fail = (reason: string, stack: readonly string[], keep: StockRetention): Promise<unknown> =>
      finish(backend.moveToFailedArgs(stockJob, reason, keep, token, false, { failedReason: reason, stacktrace: JSON.stringify(stack), [CANCEL_FIELD]: "" }));
    if (settlement.kind === "fail") await fail(settlement.reason, settlement.stack, stockRetention(settlement.keep));
    if (settlement.kind === "ack") {
      const completing = finish(backend.moveToCompletedArgs(stockJob, settlement.result, stockRetention(settlement.keep), token, false));
      const refusal = await completing.then(() => undefined, mayNotComplete);
      if (refusal !== undefined) {
        await fail(refusal.message, [...job.stacktrace, refusal.message], job.options.removeOnFail ?? false);
        return "lost";
      }
    }
    return "done";
  } catch (error) {
    return asBackendError(error) instanceof BackendError ? "unanswered" : judge(queue, settlement);
  }
}

/** BullMQ's codes for a job whose children are pending, or have failed so that it must fail with them. */
const UNFIT_CHILDREN: ReadonlySet<unknown> = new Set([-4, -9]);

function mayNotComplete(error: Error): Error {
  if ("code" in error && UNFIT_CHILDREN.has(error.code)) return error;
  throw error;
}

function stockRetention(keep: Retention): StockRetention {
  if (keep.count === undefined && keep.ageMs === undefined) return false;
  if (keep.ageMs === undefined) return { count: keep.count ?? -1 };
  const age = Math.ceil(keep.ageMs / 1000);
  return keep.count === undefined ? { age } : { count: keep.count, age };
}

/** By how the job stands now. One that has ended may have been removed since. */
async function judge(queue: StoredQueue, { kind, leased }: Settlement): Promise<Answer> {
  try {
    const [report] = await inspectJobs(queue, [leased.job.id]);
    const { state } = report!;
    if (kind === "ack") return state === "completed" || state === "removed" ? "done" : "lost";
    if (kind === "fail") return state === "failed" || state === "cancelled" || state === "removed" ? "done" : "lost";
    return state === "waiting" || state === "prioritized" || state === "delayed" ? "done" : "lost";
  } catch (error) {
    if (error instanceof BackendError) return "unanswered";
    throw error;
  }
}
