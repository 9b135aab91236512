import { expect, test } from "vitest";
import type { Overview } from "../../src/admin/overview.ts";
import { topLines } from "../../src/cli/top-screen.ts";
import { chosenAt, FIRST_VIEW, press, type View } from "../../src/cli/top-view.ts";

const perSecond = { put: 0, started: 0, completed: 2, failed: 0.5, retried: 0, cancelled: 0, released: 0 };
const queue = (name: string, waiting: number, more: object = {}) => ({
  queue: name, paused: false, waiting, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: waiting,
  oldestWaitingMs: undefined, failedLastHour: 0, history: { perSecond, arrivalsPerSecond: undefined, wait: undefined, run: { mean: 50, p50: 1, p95: 340, p99: 500 } }, ...more,
});
const overview = {
  at: 0,
  queues: [queue("mail", 5), queue("files", 90, { failed: 3 }), queue("a-queue-whose-name-is-longer-than-any-terminal-would-have-room-for", 0, { paused: true })],
  workers: [{ id: "w1", name: "web-1", state: "ready", running: 2, slots: 4, rssBytes: 64 * 2 ** 20, loopDelayMs: { p99: 1, max: 12 }, upMs: 60_000 }],
  tasks: Array.from({ length: 50 }, (_, n) => ({ id: `task-${String(n).padStart(2, "0")}`, name: "send", queue: "mail", attempt: 1, ageMs: n * 1000, worker: { id: "w1", name: "web-1" }, stuck: false })),
} as unknown as Overview;
const after = (keys: readonly string[], view: View = FIRST_VIEW): ReturnType<typeof press> =>
  keys.reduce((so, key) => press(so.view, key, overview), { view } as ReturnType<typeof press>);
const draw = (view: View, screen = { columns: 80, rows: 24, colours: false }) => topLines(overview, view, "redis://here, prefix bull", "", screen);

test("lists are sorted by what is asked for, and the one with the keys has a mark at what is chosen", async () => {
  const lines = await draw(FIRST_VIEW);
  expect(lines.slice(0, 5).map((line) => line.slice(0, 12))).toEqual(["millrace top", "QUEUES  by w", "  QUEUE     ", "> files     ", "  mail      "]);
  const byName = (await draw(after(["s"]).view)).slice(1, 5);
  expect(byName[0]).toBe("QUEUES  by name");
  expect(byName[2]).toMatch(/^> a-queue-/);
  expect((await draw(after(["tab"]).view)).find((line) => line.startsWith("> "))).toMatch(/^> web-1 +w1 +ready +2 +4 +64.0 MB +12 ms +1 min$/);
});

test("it fills any terminal exactly, and the chosen row stays in sight", async () => {
  for (const [columns, rows] of [[80, 24], [60, 12], [200, 60], [80, 5]] as const) {
    for (const keys of [[], ["tab"], ["tab", "tab"], ["left", ...Array.from({ length: 30 }, () => "down")]]) {
      const { view } = after(keys);
      const lines = await draw(view, { columns, rows, colours: false });
      expect(lines).toHaveLength(rows);
      for (const line of lines.slice(0, 1)) expect(line.length).toBeLessThanOrEqual(columns);
      if (rows > 10) expect(lines.filter((line) => line.startsWith("> "))).toHaveLength(1);
    }
  }
  expect(chosenAt(overview, after(["left", "down", "down", "up"]).view, "tasks")).toBe(1);
});

test("a list that needs more has what the others leave", async () => {
  const lines = await draw(FIRST_VIEW, { columns: 80, rows: 30, colours: false });
  // Of 28 lines queues need 5 and workers 3: tasks have a header, and 18 of the 50.
  expect(lines.filter((line) => line.startsWith("  task-"))).toHaveLength(18);
});

test("what changes something asks first, and only y does it; slots change at once", async () => {
  expect(after(["q"]).deed).toEqual({ kind: "quit" });
  const asked = after(["down", "p"]);
  expect(asked.deed).toBeUndefined();
  expect((await draw(asked.view)).at(-1)).toBe("pause queue mail? [y/N]");
  expect(press(asked.view, "y", overview).deed).toEqual({ kind: "pause", queue: "mail" });
  expect(press(asked.view, "p", overview)).toEqual({ view: { ...asked.view, question: undefined } });
  expect(after(["down", "down", "p", "y"]).deed).toMatchObject({ kind: "resume" });
  expect(after(["left", "c", "y"]).deed).toEqual({ kind: "cancel", id: "task-49" });
  expect(after(["right", "+"]).deed).toEqual({ kind: "scale", id: "w1", concurrency: 5 });
  expect(after(["right", "-"]).deed).toEqual({ kind: "scale", id: "w1", concurrency: 3 });
  for (const keys of [["c"], ["+"], ["tab", "p"], ["x"]]) expect(after(keys).deed).toBeUndefined();
});

test("the row that is chosen stays chosen when the others change places, and its end chooses the first", () => {
  const { view } = after(["down"]);
  const turned = { ...overview, queues: [queue("mail", 500), queue("files", 1)] } as unknown as Overview;
  expect([chosenAt(overview, view, "queues"), chosenAt(turned, view, "queues")]).toEqual([1, 0]);
  expect(press(view, "p", turned).view.question?.text).toBe("pause queue mail?");
  expect(chosenAt({ ...overview, queues: [] }, view, "queues")).toBe(0);
});

test("empty lists say so, and no key harms", async () => {
  const nothing: Overview = { at: 0, queues: [], workers: [], tasks: [] };
  expect((await topLines(nothing, FIRST_VIEW, "there", "", { columns: 80, rows: 24, colours: false })).filter((line) => line === "  none")).toHaveLength(3);
  for (const key of ["p", "c", "+", "down", "up", "s"]) expect(press(FIRST_VIEW, key, nothing).deed).toBeUndefined();
});
