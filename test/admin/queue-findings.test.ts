import { expect, test } from "vitest";
import { growing, type QueueLook } from "../../src/admin/queue-findings.ts";

/** At 0 the first step ends; `backlogs` are those of steps of ten seconds from there on, in each of which `done` ended. */
function look(backlogs: readonly number[], done: number, more: Partial<QueueLook> & { readonly meanRunMs?: number; readonly slots?: number; readonly startedAt?: number } = {}): QueueLook {
  const { meanRunMs, slots = 5, startedAt = 0, ...rest } = more;
  const counts = { put: 0, started: 0, completed: done, failed: 0, retried: 0, cancelled: 0, released: 0 };
  return {
    queue: "work",
    counts: { waiting: 0, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 0 },
    paused: false,
    oldestWaitingMs: undefined,
    symptoms: { now: 0, unleased: [], overdue: [], failed: { lately: 0, before: 0 }, next: { looked: 0, late: 0 }, due: { jobs: 0, since: undefined } },
    orphans: { ids: [], parts: [], looked: 0 },
    parked: [],
    movesTo: undefined,
    history: {
      run: meanRunMs === undefined ? undefined : { mean: meanRunMs, p50: meanRunMs, p95: meanRunMs, p99: meanRunMs },
      steps: backlogs.map((backlog, i) => ({ at: (i - 1) * 10_000, backlog, counts })),
      stepMs: 10_000,
      to: (backlogs.length - 1) * 10_000,
    },
    consumers: { ready: [{ id: "w1", slots, startedAt }], quiet: [], others: 0 },
    ...rest,
  };
}

test("a queue to which more comes than is done grows; where as much is done it does not", () => {
  expect(growing(look([50, 400, 1250], 100))).toMatchObject({
    message: "more arrives than is done: 70 a second against 10",
    evidence: { arrivalsPerSecond: 70, endedPerSecond: 10, backlogBefore: 50, backlog: 1250, withinMs: 20_000, slots: 5 },
  });
  expect(growing(look([50, 55, 65], 100))).toBeUndefined();
  expect(growing(look([50, 30, 59], 1))).toBeUndefined();
  expect(growing(look([50, 400, 1250], 100, { paused: true }))).toBeUndefined();
  expect(growing(look([50, 400, 1250], 100, { consumers: { ready: [], quiet: [], others: 0 } }))).toBeUndefined();
});

test("it is not told before 20 s of both rates are known, nor of a time when nobody was there to do it", () => {
  expect(growing(look([50, 1250], 100))).toBeUndefined();
  expect(growing(look([50, 400, 1250], 100, { startedAt: 10_001 }))).toBeUndefined();
  expect(growing(look([50, 400, 800, 1250], 100, { startedAt: 10_000 }))).toMatchObject({ evidence: { backlogBefore: 400, withinMs: 20_000 } });
});

test("its remedy is as many slots as arrivals and the length of a run take", () => {
  const remedy = (more: Parameters<typeof look>[2]): string | undefined => growing(look([50, 400, 1250], 100, more))?.remedy;
  expect(remedy({ meanRunMs: 1500 })).toBe("millrace worker scale w1 --concurrency 105 or more, or start workers");
  expect(remedy({})).toBe("millrace worker scale w1 --concurrency 10, or start workers");
  expect(remedy({ meanRunMs: 50 })).toBe("more slots are not what lacks: see millrace task list and millrace limit show work");
  const ready = [{ id: "large", slots: 50, startedAt: 0 }, { id: "small", slots: 5, startedAt: 0 }];
  expect(remedy({ meanRunMs: 1500, consumers: { ready, quiet: [], others: 0 } })).toMatch(/^millrace worker scale small --concurrency 55 or more, /);
  expect(remedy({ meanRunMs: 1500, consumers: { ready: [], quiet: [], others: 1 } })).toBe("start more workers");
});
