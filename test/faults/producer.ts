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
  | { readonly load: Work; readonly lanes: number; readonly pauseMs: number }
  | { readonly rest: true }
);

const { ledger } = ledgerOfProcess();
const subject = await subjects[process.argv[2] as Subject["name"]]();
const putter = await subject.open(process.env["REDIS_URL"] ?? "");
let rest = new AbortController();

process.on("message", (told: Told) => {
  void obey(told).then(() => process.send?.(told.number));
});
console.log('{"event":"ready"}');

async function obey(told: Told): Promise<void> {
  if ("put" in told) await Promise.all(told.put.map((work) => put(work, told.settings)));
  else if ("putMany" in told) await putMany(told.putMany);
  else if ("load" in told) await load(told.load, told.lanes, told.pauseMs);
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

async function load(work: Work, lanes: number, pauseMs: number): Promise<void> {
  let { n } = work;
  rest = new AbortController();
  const { signal } = rest;
  const lane = async (): Promise<void> => {
    while (!signal.aborted) {
      await put({ ...work, n: n++ }, {});
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function recordRefusal(n: number, error: unknown): void {
  const { mayHaveRun, jobMayExist = mayHaveRun } = error as { readonly jobMayExist?: boolean; readonly mayHaveRun?: boolean };
  ledger.record({ did: "refused", n, code: codeOf(error), ...(jobMayExist !== undefined && { jobMayExist }) });
}
