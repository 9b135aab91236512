/**
 * One turn of one subject, in a process of its own, so that the CPU it takes is its alone.
 *
 * The parent says what to do on the command line and marks the time of Redis when it is told "begin" and "end".
 */
import { on } from "node:events";
import { warmUpOf, type Measure } from "./measure.ts";
import { startProfile } from "./profiler.ts";
import { nowUs, payload, type OpenSubject, type Payload, type Subject } from "./subject.ts";

export interface Turn {
  readonly subject: "stock" | "millrace";
  readonly role: "fill" | "put" | "consume" | "ping" | "serve";
  readonly redisUrl: string;
  readonly queueName: string;
  readonly measure: Measure;
  /** Where a CPU profile of what is measured is to be written. */
  readonly profile?: string | undefined;
}

/** What a turn tells its parent, which answers "begin" with "go" and "end" with "close". */
export type Told =
  | { readonly told: "ready" | "begin" | "put" }
  | { readonly told: "end"; readonly seconds: number; readonly cpuUs: number }
  | { readonly told: "called"; readonly latencyUs: number };

const open: Record<Turn["subject"], () => Promise<OpenSubject>> = {
  stock: async () => (await import("./stock.ts")).openStock,
  millrace: async () => (await import("./millrace.ts")).openMillrace,
};
const { subject: name, role, redisUrl, queueName, measure, profile } = JSON.parse(process.argv[2] ?? "") as Turn;
const { jobs, width } = measure;
const warmUp = warmUpOf(measure);
const messages = on(process, "message");
/** A parent that breaks off leaves nothing behind. */
const orphaned = (): never => process.exit(1);
process.once("disconnect", orphaned);

const subject = (await open[name]())(redisUrl, queueName);
await { fill, put, consume, ping, serve }[role](subject);
await subject.close();
process.off("disconnect", orphaned);
process.disconnect();

async function fill(side: Subject): Promise<void> {
  await side.putMany(payloads(warmUp + jobs));
}

async function put(side: Subject): Promise<void> {
  await putAll(side, warmUp);
  tell({ told: "begin" });
  await answer();
  const end = begin();
  await putAll(side, jobs);
  end();
  await answer();
}

/** The rate between two calls of the handler, with work waiting all the while: neither start nor end of the run are in it. */
async function consume(side: Subject): Promise<void> {
  let calls = 0;
  let end: (() => void) | undefined;
  await side.consume(width, () => {
    calls += 1;
    if (calls === warmUp) {
      tell({ told: "begin" });
      end = begin();
    }
    if (calls === warmUp + jobs) end?.();
  });
  await answer();
  await answer();
}

/** Puts one job each time it is asked to. */
async function ping(side: Subject): Promise<void> {
  tell({ told: "ready" });
  while ((await answer()) === "put") {
    await side.put(payload());
    tell({ told: "put" });
  }
}

/** Tells how long each job took from the call of put to the call of its handler. */
async function serve(side: Subject): Promise<void> {
  await side.consume(width, ({ putAtUs }) => tell({ told: "called", latencyUs: nowUs() - putAtUs }));
  tell({ told: "ready" });
  await answer();
}

async function putAll(side: Subject, count: number): Promise<void> {
  if (measure.kind === "putMany") {
    await side.putMany(payloads(count));
    return;
  }
  let left = count;
  const keepOneInFlight = async (): Promise<void> => {
    while (left-- > 0) await side.put(payload());
  };
  await Promise.all(Array.from({ length: width }, keepOneInFlight));
}

function* payloads(count: number): Generator<Payload> {
  for (let made = 0; made < count; made += 1) yield payload();
}

/** Starts the clocks; what it returns reads them and tells. */
function begin(): () => void {
  const endProfile = profile === undefined ? undefined : startProfile(profile);
  const cpu = process.cpuUsage();
  const startUs = nowUs();
  return () => {
    const seconds = (nowUs() - startUs) / 1e6;
    const { user, system } = process.cpuUsage(cpu);
    endProfile?.();
    tell({ told: "end", seconds, cpuUs: user + system });
  };
}

function tell(told: Told): void {
  process.send?.(told);
}

async function answer(): Promise<unknown> {
  const { value } = await messages.next();
  return (value as [unknown])[0];
}
