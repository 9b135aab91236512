/** The three lists that `top` shows: their rows, columns and orders, and what keys do to a row. */
import type { Overview } from "../admin/overview.ts";
import type { QueueStats } from "../admin/queue-stats.ts";
import type { TaskRow } from "../admin/tasks.ts";
import type { WorkerRow } from "../admin/workers.ts";
import { milliseconds, size, span } from "./quantity.ts";
import { tableLines, type Column, type TableStream } from "./table.ts";

/** What a key asks for. */
export type Deed =
  | { readonly kind: "quit" }
  | { readonly kind: "pause" | "resume"; readonly queue: string }
  | { readonly kind: "cancel"; readonly id: string }
  | { readonly kind: "scale"; readonly id: string; readonly concurrency: number };

export interface Act {
  /** To be answered first. */
  readonly question?: string;
  readonly deed: Deed;
}

/** A list, whatever its rows are; `order` is one of its orders. */
export interface ShownList {
  readonly orders: readonly string[];
  /** The keys of its rows. */
  readonly keys: (overview: Overview, order: number) => readonly string[];
  /** Lines of so many rows, the header first. */
  readonly lines: (overview: Overview, order: number, from: number, count: number, stream: TableStream) => AsyncIterable<string>;
  /** What a key does to the row that stands there. */
  readonly act: (overview: Overview, order: number, at: number, key: string) => Act | undefined;
}

interface ListKind<R> {
  readonly rows: (overview: Overview) => readonly R[];
  readonly key: (row: R) => string;
  readonly columns: readonly Column<R>[];
  /** Highest first, a text by its letters. */
  readonly orders: readonly (readonly [name: string, by: (row: R) => number | string])[];
  /** What a key does to a row; undefined is nothing. */
  readonly act: (row: R, key: string) => Act | undefined;
}

const backlog = ({ waiting, prioritized }: QueueStats): number => waiting + prioritized;
const rate = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(1));
const ended = ({ history: { perSecond } }: QueueStats): number => perSecond.completed + perSecond.failed + perSecond.cancelled;

const queues: ListKind<QueueStats> = {
  rows: (overview) => overview.queues,
  key: ({ queue }) => queue,
  columns: [
    { title: "QUEUE", of: ({ queue, paused }) => `${queue}${paused ? " (paused)" : ""}`, cuts: true, style: ({ paused }) => (paused ? "yellow" : undefined) },
    { title: "WAITING", of: backlog },
    { title: "ACTIVE", of: ({ active }) => active },
    { title: "DELAYED", of: ({ delayed }) => delayed },
    { title: "FAILED", of: ({ failed }) => failed, style: ({ failed }) => (failed > 0 ? "red" : undefined) },
    { title: "IN/s", of: ({ history }) => rate(history.arrivalsPerSecond), align: "right" },
    { title: "OUT/s", of: (row) => rate(ended(row)), align: "right" },
    { title: "WAIT", of: ({ history: { wait } }) => (wait === undefined ? "-" : milliseconds(wait.p95)), align: "right" },
    { title: "RUN", of: ({ history: { run } }) => (run === undefined ? "-" : milliseconds(run.p95)), align: "right" },
  ],
  orders: [
    ["waiting", backlog],
    ["name", ({ queue }) => queue],
    ["failed", ({ failed }) => failed],
    ["out", ended],
  ],
  act({ queue, paused }, key) {
    if (key !== "p") return undefined;
    const kind = paused ? "resume" : "pause";
    return { question: `${kind} queue ${queue}?`, deed: { kind, queue } };
  },
};

const workers: ListKind<WorkerRow> = {
  rows: (overview) => overview.workers,
  key: ({ id }) => id,
  columns: [
    { title: "WORKER", of: ({ name }) => name, cuts: true },
    { title: "ID", of: ({ id }) => id },
    { title: "STATE", of: ({ state }) => state, style: ({ state }) => (state === "ready" ? undefined : "yellow") },
    { title: "RUNNING", of: ({ running }) => running },
    { title: "SLOTS", of: ({ slots }) => slots },
    { title: "RSS", of: ({ rssBytes }) => size(rssBytes), align: "right" },
    { title: "LOOP", of: ({ loopDelayMs }) => milliseconds(loopDelayMs.max), align: "right", style: ({ loopDelayMs }) => (loopDelayMs.max >= 1000 ? "red" : undefined) },
    { title: "UP", of: ({ upMs }) => span(upMs), align: "right" },
  ],
  orders: [
    ["running", ({ running }) => running],
    ["name", ({ name }) => name],
    ["rss", ({ rssBytes }) => rssBytes],
    ["loop", ({ loopDelayMs }) => loopDelayMs.max],
  ],
  act({ id, slots }, key) {
    const concurrency = key === "+" ? slots + 1 : key === "-" ? slots - 1 : 0;
    return concurrency < 1 ? undefined : { deed: { kind: "scale", id, concurrency } };
  },
};

const tasks: ListKind<TaskRow> = {
  rows: (overview) => overview.tasks,
  key: ({ id }) => id,
  columns: [
    { title: "TASK", of: ({ id }) => id, cuts: true },
    { title: "JOB", of: ({ name }) => name, cuts: true },
    { title: "QUEUE", of: ({ queue }) => queue, cuts: true },
    { title: "ATTEMPT", of: ({ attempt }) => attempt },
    { title: "AGE", of: ({ ageMs }) => span(ageMs), align: "right", style: ({ stuck }) => (stuck ? "red" : undefined) },
    { title: "WORKER", of: ({ worker }) => worker.name, cuts: true },
  ],
  orders: [
    ["age", ({ ageMs }) => ageMs],
    ["job", ({ name }) => name],
    ["queue", ({ queue }) => queue],
  ],
  act: ({ id, name }, key) => (key === "c" ? { question: `cancel task ${id} (${name})?`, deed: { kind: "cancel", id } } : undefined),
};

export const LISTS = ["queues", "workers", "tasks"] as const;
export type List = (typeof LISTS)[number];

export const SHOWN: { readonly [L in List]: ShownList } = { queues: shown(queues), workers: shown(workers), tasks: shown(tasks) };

function shown<R>({ rows, key, columns, orders, act }: ListKind<R>): ShownList {
  const sorted = (overview: Overview, order: number): readonly R[] => {
    const by = orders[order]?.[1] ?? key;
    return rows(overview).toSorted((one, other) => {
      const [a, b] = [by(one), by(other)];
      return typeof a === "string" ? a.localeCompare(String(b)) : Number(b) - a;
    });
  };
  return {
    orders: orders.map(([name]) => name),
    keys: (overview, order) => sorted(overview, order).map(key),
    lines: (overview, order, from, count, stream) => tableLines(sorted(overview, order).slice(from, from + count), columns, stream),
    act: (overview, order, at, pressed) => {
      const row = sorted(overview, order)[at];
      return row === undefined ? undefined : act(row, pressed);
    },
  };
}
