/** Puts two runs of one suite side by side: what passes on BullMQ's own backend has to pass on ours. */

/** How one file of the suite went: the full names of its tests. */
export interface FileRun {
  readonly passed: ReadonlySet<string>;
  readonly failed: ReadonlySet<string>;
}

/** By the file's path in the checkout. */
export type SuiteRun = ReadonlyMap<string, FileRun>;

/** What our backends did for one file. */
export type SuiteCounts = ReadonlyMap<string, Readonly<Record<"batches" | "added" | "finished" | "fetched" | "fallbacks", number>>>;

interface VitestReport {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[] }[];
}

/** Reads what vitest's JSON reporter has written. */
export function readRun(report: VitestReport, root: string): SuiteRun {
  return new Map(
    report.testResults.map(({ name, assertionResults }) => {
      const numbered = numberedNames(assertionResults.map(({ fullName }) => fullName));
      const of = (wanted: string): Set<string> => new Set(numbered.filter((_, i) => assertionResults[i]!.status === wanted));
      return [name.replace(`${root}/`, ""), { passed: of("passed"), failed: of("failed") }] as const;
    }),
  );
}

/** Some tests of one file have one name. */
function numberedNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** What has passed in either run; of a file that was not run again, the first. */
export function merged(first: SuiteRun, again: SuiteRun): SuiteRun {
  return new Map(
    [...first].map(([file, run]) => {
      const passed = run.passed.union(again.get(file)?.passed ?? new Set<string>());
      return [file, { passed, failed: run.failed.difference(passed) }] as const;
    }),
  );
}

/** Tests that pass on BullMQ's own backend and not on ours. */
export function lostTests(stock: SuiteRun, ours: SuiteRun): { readonly file: string; readonly test: string }[] {
  return [...stock].flatMap(([file, { passed }]) => [...passed.difference(ours.get(file)?.passed ?? new Set())].map((test) => ({ file, test })));
}

/** A Markdown table, a line a file, and the sums. */
export function table(stock: SuiteRun, ours: SuiteRun, counts: SuiteCounts): string {
  const rows = [...stock.keys()].toSorted().map((file) => {
    const { batches = 0, added = 0, finished = 0, fetched = 0, fallbacks = 0 } = counts.get(file) ?? {};
    return [passes(stock.get(file)), passes(ours.get(file)), batches, added + finished + fetched, fallbacks, file] as const;
  });
  const sums = [0, 1, 2, 3, 4].map((column) => rows.reduce((sum, row) => sum + (row[column] as number), 0));
  const line = (cells: readonly unknown[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(["file", "stock passes", "drop-in passes", "batches", "steps of jobs in them", "left to BullMQ's script"]),
    line(["---", "--:", "--:", "--:", "--:", "--:"]),
    ...rows.map(([inStock, inOurs, batches, jobs, fallbacks, file]) => line([file, inStock, inOurs, batches, jobs, fallbacks])),
    line(["**all**", ...sums]),
  ].join("\n");
}

function passes(run: FileRun | undefined): number {
  return run?.passed.size ?? 0;
}
