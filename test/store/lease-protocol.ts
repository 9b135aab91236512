/**
 * The protocol of leases as a state machine: what two workers and two jobs can do to one another, step by step.
 *
 * Each step is one script, whose answer may be lost, or something that befalls a worker. Time is not in it: a lease may
 * run out at any moment. Fences stand for tokens, too, since each grant has its own; they are counted anew in every
 * state, and of starts only "the latest or not" is kept, so that the states are finitely many.
 */

export interface Job {
  readonly place: "waiting" | "active" | "completed" | "failed";
  /** Fence of the lease; 0 is none. */
  readonly lease: number;
  /** Highest fence under which its handler was started. */
  readonly ran: number;
  /** Spent; no step depends on it. */
  readonly attempts: number;
  /** A round of the recoverer found it without a lease. */
  readonly suspected: boolean;
  readonly cancelRequested: boolean;
}

export interface Delivery {
  readonly job: number;
  readonly fence: number;
  /** The job has not been started again since. */
  readonly isLatest: boolean;
  /** Taken from a dead worker, or to be cancelled: it is settled at once, no handler runs. */
  readonly isClaim: boolean;
  /** A settlement that was sent and not answered: it may have been applied. */
  readonly sent: Settlement | undefined;
}

export interface Worker {
  readonly held: readonly Delivery[];
  /** Fences of reservations without an answer. */
  readonly unanswered: readonly number[];
}

export interface State {
  readonly jobs: readonly Job[];
  /** Waiting jobs, the next one first. */
  readonly line: readonly number[];
  readonly workers: readonly Worker[];
  /** The last one granted. */
  readonly fence: number;
}

export type Settlement = "ack" | "retry" | "fail" | "release" | "cancelled";

export type Step =
  | { readonly kind: "reserve"; readonly worker: number; readonly lost: boolean }
  /** Asks again, and names what was not answered. */
  | { readonly kind: "reserveAgain"; readonly worker: number; readonly fence: number }
  | { readonly kind: "settle"; readonly worker: number; readonly held: number; readonly as: Settlement; readonly lost: boolean }
  | { readonly kind: "renew"; readonly worker: number; readonly held: number }
  | { readonly kind: "expire"; readonly job: number }
  /** A round of the recoverer, as this job sees it. */
  | { readonly kind: "sweep"; readonly worker: number; readonly job: number }
  | { readonly kind: "cancel"; readonly worker: number; readonly job: number }
  | { readonly kind: "crash"; readonly worker: number };

const SLOTS = 1;

export const START: State = {
  jobs: [0, 1].map(() => ({ place: "waiting", lease: 0, ran: 0, attempts: 0, suspected: false, cancelRequested: false }) as const),
  line: [0, 1],
  workers: [0, 1].map(() => ({ held: [], unanswered: [] })),
  fence: 0,
};

export function isOver({ place }: Job): boolean {
  return place === "completed" || place === "failed";
}

/** Whether the server takes the word of this delivery: it has the lease, or had it, and nobody came since. */
export function isValid({ jobs }: Pick<State, "jobs">, { job, fence, isLatest }: Delivery): boolean {
  const { place, lease } = jobs[job]!;
  return place === "active" && (lease === fence || (lease === 0 && isLatest));
}

/** Everything that can happen next. */
export function stepsFrom({ jobs, workers, line }: State): Step[] {
  const steps: Step[] = [];
  workers.forEach(({ held, unanswered }, worker) => {
    if (held.length < SLOTS && unanswered.length === 0 && line.length > 0) {
      for (const lost of [false, true]) steps.push({ kind: "reserve", worker, lost });
    }
    for (const fence of unanswered) if (held.length < SLOTS) steps.push({ kind: "reserveAgain", worker, fence });
    held.forEach((delivery, index) => {
      for (const as of endingsOf(jobs[delivery.job]!, delivery)) {
        steps.push({ kind: "settle", worker, held: index, as, lost: false });
        if (delivery.sent === undefined) steps.push({ kind: "settle", worker, held: index, as, lost: true });
      }
      if (!delivery.isClaim) steps.push({ kind: "renew", worker, held: index });
    });
    if (!held.some(({ isClaim }) => isClaim)) {
      jobs.forEach(({ place, lease }, job) => place === "active" && lease === 0 && steps.push({ kind: "sweep", worker, job }));
      // One of the two: they are alike.
      if (!isOver(jobs[0]!) && !jobs[0]!.cancelRequested) steps.push({ kind: "cancel", worker, job: 0 });
    }
    if (held.length + unanswered.length > 0) steps.push({ kind: "crash", worker });
  });
  jobs.forEach(({ lease }, job) => lease > 0 && steps.push({ kind: "expire", job }));
  return steps;
}

/** What was sent is sent again as it was; a claim is settled by some policy; a handler may end in any way. */
function endingsOf(job: Job, { sent, isClaim }: Delivery): readonly Settlement[] {
  if (sent !== undefined) return [sent];
  if (!isClaim) return ["ack", "retry", "fail", "release"];
  return job.cancelRequested ? ["cancelled"] : ["retry", "fail"];
}

export function after(state: State, step: Step): State {
  const next = draftOf(state);
  switch (step.kind) {
    case "reserve":
      reserve(next, step.worker, step.lost);
      break;
    case "reserveAgain": {
      const worker = next.workers[step.worker]!;
      worker.unanswered = worker.unanswered.filter((fence) => fence !== step.fence);
      const job = next.jobs.findIndex(({ place, lease }) => place === "active" && lease === step.fence);
      if (job >= 0) start(next, step.worker, job);
      else if (next.line.length > 0) reserve(next, step.worker, false);
      break;
    }
    case "settle":
      settle(next, step);
      break;
    case "renew": {
      const { held } = next.workers[step.worker]!;
      const delivery = held[step.held]!;
      const job = next.jobs[delivery.job]!;
      if (isValid(next, delivery)) Object.assign(job, { lease: delivery.fence, suspected: false });
      else held.splice(step.held, 1);
      break;
    }
    case "expire":
      next.jobs[step.job]!.lease = 0;
      break;
    case "sweep":
      if (next.jobs[step.job]!.suspected) claim(next, step.worker, step.job);
      else next.jobs[step.job]!.suspected = true;
      break;
    case "cancel":
      cancel(next, step);
      break;
    case "crash":
      next.workers[step.worker] = { held: [], unanswered: [] };
  }
  return next;
}

function draftOf({ jobs, line, workers, fence }: State): Draft<State> {
  return {
    jobs: jobs.map((job) => ({ ...job })),
    line: [...line],
    workers: workers.map(({ held, unanswered }) => ({ held: held.map((delivery) => ({ ...delivery })), unanswered: [...unanswered] })),
    fence,
  };
}

type Draft<T> = T extends object ? { -readonly [K in keyof T]: Draft<T[K]> } : T;

function reserve(next: Draft<State>, worker: number, lost: boolean): void {
  const job = next.line.shift()!;
  next.jobs[job]!.place = "active";
  startedAnew(next, job);
  if (!lost) return start(next, worker, job);
  next.jobs[job]!.lease = next.fence += 1;
  next.workers[worker]!.unanswered.push(next.fence);
}

/** Whoever held it before holds it no longer for the latest. */
function startedAnew(next: Draft<State>, job: number): void {
  for (const { held } of next.workers) for (const delivery of held) if (delivery.job === job) delivery.isLatest = false;
}

function start(next: Draft<State>, worker: number, job: number): void {
  const fence = (next.fence += 1);
  Object.assign(next.jobs[job]!, { lease: fence, ran: fence });
  next.workers[worker]!.held.push({ job, fence, isLatest: true, isClaim: false, sent: undefined });
}

function settle(next: Draft<State>, { worker, held: index, as, lost }: Step & { kind: "settle" }): void {
  const { held } = next.workers[worker]!;
  const delivery = held[index]!;
  const job = next.jobs[delivery.job]!;
  if (lost) delivery.sent = as;
  else held.splice(index, 1);
  if (!isValid(next, delivery)) return;
  if (job.cancelRequested && as !== "ack" && as !== "cancelled") {
    // Answered with the reason: whoever hears it ends the job so.
    if (!lost) held.splice(index, 0, { ...delivery, isClaim: true, sent: undefined });
    return;
  }
  job.lease = 0;
  job.suspected = false;
  if (as !== "release") job.attempts += 1;
  if (as === "ack") job.place = "completed";
  else if (as === "fail" || as === "cancelled") job.place = "failed";
  else {
    job.place = "waiting";
    if (as === "retry") next.line.push(delivery.job);
    else next.line.unshift(delivery.job);
  }
}

function claim(next: Draft<State>, worker: number, job: number): void {
  const fence = (next.fence += 1);
  Object.assign(next.jobs[job]!, { lease: fence, suspected: false });
  next.workers[worker]!.held.push({ job, fence, isLatest: true, isClaim: true, sent: undefined });
}

function cancel(next: Draft<State>, { worker, job: index }: Step & { kind: "cancel" }): void {
  const job = next.jobs[index]!;
  job.cancelRequested = true;
  if (job.place !== "waiting") return;
  next.line = next.line.filter((each) => each !== index);
  job.place = "active";
  startedAnew(next, index);
  claim(next, worker, index);
}

/**
 * One state for all that cannot be told apart by what follows: fences still in use counted from 1, no deliveries that
 * can never be valid again, finished jobs without their past, workers in one order.
 */
export function canonical(state: State): State {
  const jobs = state.jobs.map((job) => (isOver(job) ? { ...OVER, place: job.place } : job));
  const expired = jobs.map((job) => ({ ...job, place: isOver(job) ? job.place : "active", lease: 0 }) as const);
  const workers = state.workers.map(({ held, unanswered }) => ({
    held: held.filter((delivery) => {
      const { place } = jobs[delivery.job]!;
      if (place !== "waiting") return isValid({ jobs }, delivery) || isValid({ jobs: expired }, delivery);
      return isValid({ jobs: expired }, { ...delivery, isLatest: false });
    }),
    unanswered: unanswered.filter((fence) => jobs.some(({ lease }) => lease === fence)),
  }));
  const ranks = jobs.map(({ lease, ran }, job) => {
    const used = workers.flatMap(({ held }) => held.filter((each) => each.job === job).map(({ fence }) => fence));
    return [0, ...new Set([lease, ran, ...used].filter((fence) => fence > 0))].toSorted((a, b) => a - b);
  });
  // Only fences of one job are ever compared.
  const of = (job: number, fence: number): number => (fence === 0 ? 0 : job * FENCES + ranks[job]!.indexOf(fence));
  const renamed = workers.map(({ held, unanswered }) => ({
    held: held.map((delivery) => ({ ...delivery, fence: of(delivery.job, delivery.fence) })).toSorted((a, b) => a.fence - b.fence),
    unanswered: unanswered.map((fence) => of(jobs.findIndex(({ lease }) => lease === fence), fence)).toSorted(),
  }));
  return {
    jobs: jobs.map((job, i) => ({ ...job, attempts: 0, suspected: job.place === "active" && job.lease === 0, lease: of(i, job.lease), ran: of(i, job.ran) })),
    line: state.line,
    workers: renamed.toSorted((a, b) => (keyOfWorker(a) < keyOfWorker(b) ? -1 : 1)),
    fence: jobs.length * FENCES,
  };
}

/** A text of its own for every canonical state. */
export function keyOf({ jobs, line, workers }: State): string {
  const told = jobs.map(({ place, lease, ran, cancelRequested }) => `${place}${lease},${ran}${cancelRequested ? "!" : ""}`);
  return `${told.join(";")}/${line.join()}/${workers.map(keyOfWorker).join(";")}`;
}

function keyOfWorker({ held, unanswered }: Worker): string {
  const told = held.map(({ job, fence, isLatest, isClaim, sent }) => `${job}:${fence}${isLatest ? "l" : ""}${isClaim ? "c" : ""}${sent ?? ""}`);
  return `${told.join()}?${unanswered.join()}`;
}

/** More than there can be of one job at once. */
const FENCES = 100;
const OVER = { lease: 0, ran: 0, attempts: 0, suspected: false, cancelRequested: false };
