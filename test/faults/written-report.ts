/** A report on disk, as Markdown and as JSON: what is played later takes the place of the same row. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Row, table } from "./report.ts";
import { rows } from "./rows.ts";
import type { Subject } from "./subject.ts";

/** Under which a row was played. */
export interface Conditions {
  /** "2026-11-27" */
  readonly date: string;
  /** Of the first phase. */
  readonly seed: number;
  readonly redis: string;
  readonly bullmq: string;
  readonly node: string;
  readonly cores: number;
}

export type WrittenRow = Row & { readonly conditions: Conditions };

export function addToReport(dir: string, subject: Subject["name"], row: WrittenRow): void {
  const place = ({ row }: Row): number => rows.findIndex((scenario) => scenario.row === row);
  const others = existsSync(pathOf(dir, subject, "json")) ? readReport(dir, subject).filter((other) => other.row !== row.row) : [];
  const all = [...others, row].toSorted((one, other) => place(one) - place(other));
  mkdirSync(dir, { recursive: true });
  writeFileSync(pathOf(dir, subject, "md"), `${table(all)}\n\n${conditionsOf(all)}\n`);
  writeFileSync(pathOf(dir, subject, "json"), `${JSON.stringify(all, undefined, 2)}\n`);
}

/** @throws when there is none */
export function readReport(dir: string, subject: Subject["name"]): readonly WrittenRow[] {
  const path = pathOf(dir, subject, "json");
  try {
    return JSON.parse(readFileSync(path, "utf8")) as WrittenRow[];
  } catch (cause) {
    throw new Error(`expected ${path}, as --subject ${subject} --report ${dir} writes it, got: ${(cause as Error).message}`, { cause });
  }
}

/** Those of most rows; then, by name, the rows that were played under others. */
export function conditionsOf(rows: readonly WrittenRow[]): string {
  const groups = [...Map.groupBy(rows, ({ conditions }) => told(conditions))].toSorted(([, one], [, other]) => other.length - one.length);
  return groups.map(([conditions, played], i) => `${i === 0 ? "" : `${played.map(({ row }) => row).join(", ")}: `}${conditions}`).join("; ");
}

function told({ date, seed, redis, bullmq, node, cores }: Conditions): string {
  return `played on ${date}, seed ${seed}, with Redis ${redis}, BullMQ ${bullmq} and Node ${node.replace("v", "")} on ${cores} cores`;
}

function pathOf(dir: string, subject: Subject["name"], kind: "md" | "json"): string {
  return join(dir, `faults-${subject}.${kind}`);
}
