/** Takes out of the lines of an export what contracts redact. A line from which something was taken says so. */
import { redactedText } from "../job/redact.ts";
import { partitionsOf } from "../store/partitions.ts";
import { readRedactions } from "../store/redactions.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { ExportLine } from "./export-line.ts";
import type { Operator } from "./operator.ts";

/** By the name of jobs, the paths that are redacted in them. */
export type Redactions = Readonly<Record<string, readonly string[]>>;

export async function redactionsOf(parts: readonly StoredQueue[]): Promise<Redactions> {
  const all: Record<string, readonly string[]> = {};
  for (const found of await Promise.all(parts.map(readRedactions))) {
    for (const [name, paths] of found) all[name] = [...new Set([...(Object.hasOwn(all, name) ? all[name]! : []), ...paths])];
  }
  return all;
}

type Fields = Readonly<Record<string, string>>;

export class MaskedLines {
  readonly #operator: Operator;
  readonly #redactions: Redactions;
  /** Of the queues of children, by prefix and name: all paths that anything in them redacts, since a result does not tell whose it is. */
  readonly #ofChildren = new Map<string, Promise<readonly string[]>>();

  constructor(operator: Operator, parts: readonly StoredQueue[], redactions: Redactions) {
    this.#operator = operator;
    this.#redactions = redactions;
    for (const { keys } of parts) this.#ofChildren.set(keys.base, Promise.resolve(allPaths(redactions)));
  }

  async masked(line: ExportLine): Promise<ExportLine> {
    if (line.kind === "schedule") return withFields(line, maskedFields(line.fields, ["data"], this.#paths(line.fields)));
    if (line.kind !== "job") return line;
    const job = withFields(line, maskedFields(line.fields, ["data", "returnvalue", "progress"], this.#paths(line.fields)));
    const results = Object.entries(line.children.processed);
    const seen = await Promise.all(results.map(async ([key, result]) => [key, redactedText(result, await this.#pathsOfChild(key))] as const));
    return seen.every(([, result], i) => result === results[i]![1]) ? job : { ...job, masked: true, children: { ...line.children, processed: Object.fromEntries(seen) } };
  }

  #paths({ name = "" }: Fields): readonly string[] {
    return Object.hasOwn(this.#redactions, name) ? this.#redactions[name]! : [];
  }

  /** @param key  `prefix:queue:id`; one under another prefix belongs to somebody else */
  async #pathsOfChild(key: string): Promise<readonly string[]> {
    const [base, prefix, name] = /^([^:]*):([^:]*):/.exec(key) ?? [];
    if (base === undefined || name === undefined || name === "") return [];
    const known = this.#ofChildren.get(base) ?? (prefix === this.#operator.prefix ? partitionsOf(this.#operator.queue(name)).then(redactionsOf).then(allPaths) : Promise.resolve([]));
    this.#ofChildren.set(base, known);
    return known;
  }
}

function allPaths(redactions: Redactions): readonly string[] {
  return [...new Set(Object.values(redactions).flat())];
}

function withFields<L extends ExportLine & { readonly fields: Fields }>(line: L, fields: Fields): L {
  return fields === line.fields ? line : { ...line, masked: true, fields };
}

/** The same object where nothing is redacted. */
function maskedFields(fields: Fields, names: readonly string[], paths: readonly string[]): Fields {
  const seen = names.flatMap((name) => {
    const text = fields[name];
    const masked = text === undefined ? text : redactedText(text, paths);
    return masked === text || masked === undefined ? [] : [[name, masked] as const];
  });
  return seen.length === 0 ? fields : { ...fields, ...Object.fromEntries(seen) };
}
