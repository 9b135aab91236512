import * as fc from "fast-check";
import { expect, test } from "vitest";
import { requestCancel } from "../../src/store/cancel.ts";
import { claimExpired } from "../../src/store/claim.ts";
import { extendLeases } from "../../src/store/extend.ts";
import type { Leased } from "../../src/store/reserve.ts";
import type { Settlement } from "../../src/store/settle.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { takeTurn } from "../../src/store/turn-script.ts";
import { after, canonical, isOver, isValid, keyOf, START, stepsFrom, type Delivery, type Job, type State, type Step } from "./lease-protocol.ts";
import { newJob, openQueue, placesOf, putAll, waitingIds } from "./opened-queue.ts";

test("whatever two workers do to two jobs: none is lost, none is ended twice, none by a stale fence, and each can still end", () => {
  const states: State[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (state: State): number => {
    const key = keyOf(state);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, states.length);
    return states.push(state) - 1;
  };
  const cameFrom: number[][] = [];
  numberOf(canonical(START));
  for (let from = 0; from < states.length; from += 1) {
    const state = states[from]!;
    for (const step of stepsFrom(state)) {
      const next = after(state, step);
      const fault = faultOf(state, step, next);
      if (fault !== undefined) expect.unreachable(`${fault}: ${JSON.stringify(step)} in ${JSON.stringify(state)}`);
      (cameFrom[numberOf(canonical(next))] ??= []).push(from);
    }
  }
  const canEnd = new Set([...states.keys()].filter((i) => states[i]!.jobs.every(isOver)));
  for (const state of canEnd) for (const earlier of cameFrom[state] ?? []) canEnd.add(earlier);
  expect(states.length).toBeGreaterThan(50_000);
  expect(canEnd.size).toBe(states.length);
}, 120_000);

function faultOf(state: State, step: Step, next: State): string | undefined {
  for (let i = 0; i < next.jobs.length; i += 1) {
    const job = next.jobs[i]!;
    const before = state.jobs[i]!;
    if (isOver(before) && job.place !== before.place) return "a job has left its end";
    if ((job.place === "waiting") !== next.line.includes(i)) return "a job waits nowhere, or is in line without waiting";
    if (job.place === "waiting" && job.cancelRequested) return "a cancelled job waits again";
    let holders = 0;
    for (const { held } of next.workers) for (const each of held) if (each.job === i && each.fence === job.lease && job.place === "active") holders += 1;
    if (holders > 1) return "two hold one lease";
    if (!isOver(job) || isOver(before)) continue;
    const ender = step.kind === "settle" ? state.workers[step.worker]!.held[step.held]! : undefined;
    if (ender === undefined || !isValid(state, ender)) return "a job was ended by nobody who may";
    if (ender.fence < before.ran) return "a job was ended under a stale fence";
  }
  return undefined;
}

test("the scripts do what the protocol says, step by step, on any walk through it", async () => {
  const queue = await openQueue();
  let walks = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }), async (choices) => {
      const walk = new Walk(queue, `walk${(walks += 1)}`);
      await walk.begin();
      for (const choice of choices) {
        const steps = stepsFrom(walk.state).filter((step) => step.kind !== "sweep" || unleased(walk.state) === 1);
        if (steps.length === 0) break;
        await walk.take(steps[choice % steps.length]!);
      }
    }),
    { numRuns: 150 },
  );
}, 120_000);

/** A round of the recoverer sees all of them at once. */
function unleased({ jobs }: State): number {
  return jobs.filter(({ place, lease }) => place === "active" && lease === 0).length;
}

/** One walk: the protocol's state beside the jobs in Redis. */
class Walk {
  state = START;
  readonly #queue: StoredQueue;
  readonly #ids: readonly string[];
  /** What a fence of the protocol is in Redis. */
  readonly #granted = new Map<number, Leased>();
  readonly #tokens = new Map<number, string>();
  #steps = 0;

  constructor(queue: StoredQueue, name: string) {
    this.#queue = queue;
    this.#ids = [`${name}-a`, `${name}-b`];
  }

  async begin(): Promise<void> {
    const { client, keys } = this.#queue;
    await client.del(keys.wait, keys.active, keys.completed, keys.failed, keys.stalled, keys.stalledCheck, keys.fence);
    await putAll(this.#queue, this.#ids.map((id) => newJob(id)));
  }

  async take(step: Step): Promise<void> {
    const before = this.state;
    this.state = after(before, step);
    const told = await this.#play(before, step);
    if (told !== undefined) this.#grant(told);
    await this.#compare(step);
  }

  /** @returns what came under a lease */
  async #play(before: State, step: Step): Promise<readonly Leased[] | undefined> {
    const queue = this.#queue;
    const token = `t${(this.#steps += 1)}`;
    const delivery = "held" in step ? before.workers[step.worker]!.held[step.held]! : undefined;
    switch (step.kind) {
      case "reserve":
      case "reserveAgain": {
        const unanswered = step.kind === "reserveAgain" ? [this.#tokens.get(step.fence)!] : [];
        const { reserved } = await takeTurn(queue, [], false, { most: 1, token, leaseMs: 60_000, worker: "w", unanswered });
        if (step.kind === "reserveAgain" || !step.lost) return reserved!.leased;
        this.#tokens.set(this.state.fence, token);
        return undefined;
      }
      case "settle": {
        const { settled } = await takeTurn(queue, [this.#settlement(delivery!, step.as)], delivery!.sent !== undefined, undefined);
        const [answer] = await settled;
        if (delivery!.sent === undefined) expect(answer, JSON.stringify(step)).toEqual(expectedAnswer(before, delivery!, step.as));
        return undefined;
      }
      case "renew": {
        const lost = await extendLeases(queue, [this.#granted.get(delivery!.fence)!], 60_000);
        expect(lost.length === 0).toBe(isValid(before, delivery!));
        return undefined;
      }
      case "expire":
        await queue.client.del(`${queue.keys.base}${this.#ids[step.job]!}:lock`);
        return undefined;
      case "sweep":
        return claimExpired(queue, { token, leaseMs: 60_000, everyMs: 0, holdMs: 60_000, most: 1 });
      case "cancel": {
        const reply = await requestCancel(queue, this.#ids[step.job]!, { reason: "asked", token, leaseMs: 60_000 });
        expect(reply.state).toBe(before.jobs[step.job]!.place === "waiting" ? "claimed" : "requested");
        return reply.state === "claimed" ? [reply.leased] : undefined;
      }
      case "crash":
        return undefined;
    }
  }

  #settlement({ fence }: Delivery, as: (Step & { kind: "settle" })["as"]): Settlement {
    const leased = this.#granted.get(fence)!;
    switch (as) {
      case "ack":
        return { leased, kind: "ack", result: "null", keep: {} };
      case "retry":
        return { leased, kind: "retry", reason: "r", stack: [], delayMs: 0 };
      case "release":
        return { leased, kind: "release", delayMs: 0 };
      case "fail":
      case "cancelled":
        return { leased, kind: "fail", reason: as === "fail" ? "r" : "cancelled: asked", stack: [], attempts: 1, keep: {} };
    }
  }

  /** Finds for each delivery of the protocol that is new what came for its job. */
  #grant(came: readonly Leased[]): void {
    const fresh = this.state.workers.flatMap(({ held }) => held.filter(({ fence }) => !this.#granted.has(fence)));
    expect(fresh.map(({ job }) => this.#ids[job]!).toSorted()).toEqual(came.map(({ job }) => job.id).toSorted());
    for (const { job, fence } of fresh) {
      const leased = came.find((each) => each.job.id === this.#ids[job])!;
      expect(leased.fence).toBe(fence);
      this.#granted.set(fence, leased);
      this.#tokens.set(fence, leased.token);
    }
  }

  async #compare(step: Step): Promise<void> {
    const { client, keys } = this.#queue;
    expect(await waitingIds(this.#queue), JSON.stringify(step)).toEqual(this.state.line.map((job) => this.#ids[job]));
    for (const [i, id] of this.#ids.entries()) {
      const { place, lease, attempts, suspected, cancelRequested } = this.state.jobs[i]!;
      const found = {
        places: await placesOf(this.#queue, id),
        token: (await client.get(`${keys.base}${id}:lock`)) ?? undefined,
        attempts: Number((await client.hget(`${keys.base}${id}`, "atm")) ?? 0),
        suspected: (await client.sismember(keys.stalled, id)) === 1,
      };
      const expected = { places: [IN_REDIS[place]], token: lease === 0 ? undefined : this.#tokens.get(lease), attempts, suspected };
      expect(found, JSON.stringify([step, cancelRequested])).toEqual(expected);
    }
  }
}

const IN_REDIS: Readonly<Record<Job["place"], string>> = { waiting: "wait", active: "active", completed: "completed", failed: "failed" };

function expectedAnswer(state: State, delivery: Delivery, as: (Step & { kind: "settle" })["as"]): unknown {
  if (!isValid(state, delivery)) return "lost";
  const toCancel = state.jobs[delivery.job]!.cancelRequested && as !== "ack" && as !== "cancelled";
  return toCancel ? { cancelReason: "asked" } : "done";
}
