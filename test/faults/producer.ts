/**
 * A producer process: puts what it is told to, and records what became of each put.
 *
 *     node producer.ts millrace|bullmq
 */
import { ledgerOfProcess } from "./ledger-of-process.ts";
import { subjects, type PutSettings, type Subject } from "./subject.ts";
import { codeOf, type Work } from "./work.ts";

/** What it is told, each answered by its number when it is done. */
export type Told = { readonly number: number } & (
  | { readonly put: readonly Work[]; readonly settings: PutSettings }
  | { readonly putMany: readonly Work[] }
  /** Puts works like this one, numbered from its own on, one after the other in so many lanes, until it is told to rest. */
  | { readonly load: Work; readonly lanes: number; readonly pauseMs: number; readonly settings?: PutSettings }
  | { readonly rest: true }
  | { readonly cancel: readonly Job[] }
  /** Waits for the outcome of each. */
  | { readonly follow: readonly Job[] }
  /** Waits until all that was put is over; in the ledger the wait has this number. */
  | { readonly join: number }
  /** Puts so many that do nothing, which no ledger could hold. */
  | { readonly flood: number; readonly from: number }
);

export interface Job {
  readonly n: number;
  readonly id: string;
}

const { ledger } = ledgerOfProcess();
const subject = await subjects[process.argv[2] as Subject["name"]]();
const putter = await subject.open(process.env["REDIS_URL"] ?? "");
let rest = new AbortController();
let isReaching = false;

const REACH_MS = 50;

process.on("message", (told: Told) => {
  void obey(told).then(() => process.send?.(told.number));
});
console.log('{"event":"ready"}');

async function obey(told: Told): Promise<void> {
  if ("put" in told) await Promise.all(told.put.map((work) => put(work, told.settings)));
  else if ("putMany" in told) await putMany(told.putMany);
  else if ("load" in told) await load(told.load, told);
  else if ("cancel" in told) await Promise.all(told.cancel.map(cancel));
  else if ("follow" in told) await followAll(told.follow);
  else if ("join" in told) await join(told.join);
  else if ("flood" in told) await putter.putMany(Array.from({ length: told.flood }, (_, i) => ({ n: told.from + i, does: "nothing", ms: [0] })));
  else rest.abort();
}

async function put(work: Work, settings: PutSettings): Promise<void> {
  const { n } = work;
  ledger.record({ did: "put", n });
  try {
    ledger.record({ did: "acknowledged", n, id: await putter.put(work, settings) });
  } catch (error) {
    recordRefusal(n, error);
  }
}

async function putMany(works: readonly Work[]): Promise<void> {
  for (const { n } of works) ledger.record({ did: "put", n });
  try {
    await putter.putMany(works);
    for (const { n } of works) ledger.record({ did: "acknowledged", n });
  } catch (error) {
    for (const { n } of works) recordRefusal(n, error);
  }
}

async function load(work: Work, { lanes, pauseMs, settings = {} }: { readonly lanes: number; readonly pauseMs: number; readonly settings?: PutSettings }): Promise<void> {
  let { n } = work;
  rest = new AbortController();
  const { signal } = rest;
  const lane = async (): Promise<void> => {
    while (!signal.aborted) {
      await put({ ...work, n: n++ }, settings);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function cancel({ n, id }: Job): Promise<void> {
  ledger.record({ did: "asked", n, id });
  await putter.cancel(id).catch(() => undefined); // what became of it is seen in the job
}

async function followAll(jobs: readonly Job[]): Promise<void> {
  void reachOn();
  await Promise.all(jobs.map(follow));
}

async function follow({ n, id }: Job): Promise<void> {
  const state = await putter.outcome(id).catch((error: unknown) => `threw ${codeOf(error)}`);
  ledger.record({ did: "settled", n, id, code: state });
}

async function join(n: number): Promise<void> {
  const end = await putter.join().then(() => "joined", (error: unknown) => `threw ${codeOf(error)}`);
  ledger.record({ did: "settled", n, code: end });
}

/** From now on records when Redis can be reached. */
async function reachOn(): Promise<void> {
  if (isReaching) return;
  isReaching = true;
  for (;;) {
    await putter.reach().then(() => ledger.record({ did: "reached", n: -1 }), () => undefined);
    await new Promise((resolve) => setTimeout(resolve, REACH_MS));
  }
}

function recordRefusal(n: number, error: unknown): void {
  const { mayHaveRun, jobMayExist = mayHaveRun } = error as { readonly jobMayExist?: boolean; readonly mayHaveRun?: boolean };
  ledger.record({ did: "refused", n, code: codeOf(error), ...(jobMayExist !== undefined && { jobMayExist }) });
}
