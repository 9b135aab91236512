/**
 * One turn of one subject, in a process of its own, so that the CPU it takes is its alone.
 *
 * The parent says what to do on the command line and reads the clock of the server when it is told "begin" and "end".
 */
import { on } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { warmUpOf, type Work } from "./measure.ts";
import { startProfile } from "./profiler.ts";
import { type Handle, nowUs, type Opened, type Payload, payload, type SubjectName, subjects } from "./subject.ts";

export interface Turn {
  readonly subject: SubjectName;
  readonly role: keyof typeof roles;
  readonly url: string;
  readonly queues: readonly string[];
  readonly work: Work;
  /** Where a CPU profile of what is measured is to be written. */
  readonly profile?: string | undefined;
}

/** What a turn tells its parent, which answers "ready" and "begin" with "go" or "put", and what comes last with "close". */
export type Told =
  | { readonly told: "ready" | "begin" | "put" | "called" }
  | { readonly told: "end"; readonly seconds: number; readonly cpuUs: number }
  | { readonly told: "closed"; readonly calls: number; readonly latenciesUs: readonly number[] };

const roles = { fill, put, consume, ping, serve };
const { subject: name, role, url, queues, work, profile } = JSON.parse(process.argv[2] ?? "") as Turn;
const { jobs, width, kind } = work;
const warmUp = warmUpOf(work);
const messages = on(process, "message");
let calls = 0;
const latenciesUs: number[] = [];
/** A parent that breaks off leaves nothing behind. */
const orphaned = (): never => process.exit(1);
process.once("disconnect", orphaned);

const opened = await (await subjects[name]()).open(url, { queues, slots: width, keep: work.keep, schema: work.schema });
await roles[role](opened);
await opened.close();
process.off("disconnect", orphaned);
tell({ told: "closed", calls, latenciesUs }); // its parent disconnects, and nothing is left to live for

/** A subject has all that is consumed, and what waits meanwhile. */
async function fill(subject: Opened): Promise<void> {
  const each = Math.ceil((warmUp + jobs + work.waiting) / queues.length);
  await subject.putMany(() => payloads(each));
}

async function put(subject: Opened): Promise<void> {
  tell({ told: "ready" });
  await answer();
  await putAll(subject, warmUp);
  tell({ told: "begin" });
  await answer();
  const end = begin();
  await putAll(subject, jobs);
  end();
  await answer();
}

/** The rate between two calls of the handler, with work waiting all the while: neither start nor end of the run are in it. */
async function consume(subject: Opened): Promise<void> {
  tell({ told: "ready" });
  await answer();
  const first = Math.ceil(warmUp / work.processes);
  const last = first + Math.floor(jobs / work.processes);
  let end: (() => void) | undefined;
  const count = (): void => {
    calls += 1;
    if (calls === first) {
      tell({ told: "begin" });
      end = begin();
    }
    if (calls === last) end?.();
  };
  await subject.consume(work.handlerMs === 0 ? count : counting(count));
  await answer();
  await answer();
}

/** Waits 0 to so many ms in turn, on every side the same. */
function counting(count: () => void): Handle {
  return () => {
    count();
    return sleep((calls * 7) % (work.handlerMs + 1));
  };
}

/** Puts one job each time it is asked to, or all of them at a pace. */
async function ping(subject: Opened): Promise<void> {
  tell({ told: "ready" });
  while ((await answer()) === "put") {
    if (work.pace === 0) await subject.put(payload(work.payloadBytes));
    else await atPace(subject);
    tell({ told: "put" });
  }
}

async function atPace(subject: Opened): Promise<void> {
  const startUs = nowUs();
  const putting: Promise<unknown>[] = [];
  while (putting.length < warmUp + jobs) {
    const due = Math.min(warmUp + jobs, ((nowUs() - startUs) / 1e6) * work.pace);
    while (putting.length < due) putting.push(subject.put(payload(work.payloadBytes)));
    await sleep(1);
  }
  await Promise.all(putting);
}

/** Notes how long each job took from the call of put to the call of its handler. */
async function serve(subject: Opened): Promise<void> {
  await subject.consume(({ putAtUs }) => {
    calls += 1;
    latenciesUs.push(nowUs() - putAtUs);
    if (work.pace === 0 || calls === warmUp + jobs) tell({ told: "called" });
  });
  tell({ told: "ready" });
  await answer();
}

async function putAll(subject: Opened, count: number): Promise<void> {
  if (kind === "put-many") {
    await subject.putMany(() => payloads(count));
    return;
  }
  let left = count;
  const keepOneInFlight = async (): Promise<void> => {
    while (left-- > 0) await subject.put(payload(work.payloadBytes));
  };
  await Promise.all(Array.from({ length: width }, keepOneInFlight));
}

function* payloads(count: number): Generator<Payload> {
  for (let made = 0; made < count; made += 1) yield payload(work.payloadBytes);
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
