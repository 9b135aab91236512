import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { tableLines, type Column } from "../../src/cli/table.ts";

interface Row {
  readonly name: string;
  readonly jobs: number;
  readonly note?: string;
}

const columns: readonly Column<Row>[] = [
  { title: "NAME", of: ({ name }) => name, cuts: true },
  { title: "JOBS", of: ({ jobs }) => jobs, style: ({ jobs }) => (jobs > 5 ? "red" : undefined) },
  { title: "NOTE", of: ({ note }) => note, cuts: true },
];
const pipe = { write: () => true };
const terminal = (columns: number) => ({ ...pipe, isTTY: true, columns });

async function lines(rows: Iterable<Row> | AsyncIterable<Row>, stream = pipe as Parameters<typeof tableLines>[2]): Promise<string[]> {
  const found: string[] = [];
  for await (const line of tableLines(rows, columns, stream)) found.push(line);
  return found;
}

test("aligns columns, numbers to the right", async () => {
  expect(await lines([{ name: "mail", jobs: 1234 }, { name: "thumbnails", jobs: 5, note: "slow" }])).toEqual([
    "NAME         JOBS  NOTE",
    "mail        1,234",
    "thumbnails      5  slow",
  ]);
});

test("is nothing where there are no rows", async () => {
  expect(await lines([])).toEqual([]);
});

test("fits a terminal by cutting the widest of what may be cut, and cuts nothing on a pipe", async () => {
  const rows = [{ name: "a".repeat(50), jobs: 1, note: "b".repeat(60) }];
  const cut = await lines(rows, terminal(40));
  expect(cut.map((line) => stripVTControlCharacters(line).length)).toEqual([expect.toSatisfy((length: number) => length <= 40), 40]);
  expect(stripVTControlCharacters(cut[1]!)).toMatch(/^a{15}…  +1  b{15}…$/);
  expect((await lines(rows))[1]).toContain("b".repeat(60));
});

test("tells below a row what does not fit into it, in one line of the terminal", async () => {
  const found: string[] = [];
  const rows = [{ name: "a", jobs: 1, note: `at ${"b".repeat(60)}\nand more` }, { name: "c", jobs: 2 }];
  for await (const line of tableLines(rows, columns.slice(0, 2), terminal(40), ({ note }) => note)) found.push(line);
  expect(found).toEqual(["NAME  JOBS", "a        1", `          at ${"b".repeat(26)}…`, "c        2"]);
});

test("counts a wide character as two columns", async () => {
  const [header, row] = (await lines([{ name: "日本", jobs: 1 }])).map((line) => line);
  expect(header).toBe("NAME  JOBS  NOTE");
  expect(row).toBe("日本     1");
});

test("lets nothing but text reach the terminal, on one line", async () => {
  const [, row] = await lines([{ name: "a\u001b[31m\nb\u0007", jobs: 1 }]);
  expect(row).toBe("a?[31m b?     1");
});

test("prints rows as they come, once widths are known", async () => {
  let made = 0;
  const endless = (function* (): Generator<Row, void> {
    for (;;) yield { name: `job-${(made += 1)}`, jobs: made };
  })();
  for await (const line of tableLines(endless, columns, pipe)) if (line.startsWith("job-250 ")) break;
  expect(made).toBe(250);
});

test("does not hold rows back for others that are late, and cuts nothing of those that may not be cut", { timeout: 20_000 }, async () => {
  const late = Promise.withResolvers<void>();
  const rows = (async function* (): AsyncGenerator<Row, void> {
    yield { name: "mail", jobs: 1 };
    await late.promise;
    yield { name: "thumbnails", jobs: 1_234_567 };
  })();
  const found: string[] = [];
  for await (const line of tableLines(rows, columns, terminal(80))) {
    found.push(line);
    if (line.startsWith("mail")) late.resolve();
  }
  expect(found).toEqual(["NAME  JOBS  NOTE", "mail     1", "thu…  1,234,567"]);
});

test("colours what is to be seen, on a terminal alone", async () => {
  const rows = [{ name: "mail", jobs: 9 }];
  expect((await lines(rows, { ...terminal(80), hasColors: () => true }))[1]).toContain("\u001b[31m9\u001b[39m");
  for (const stream of [pipe, { ...terminal(80), hasColors: () => false }]) expect((await lines(rows, stream))[1]).toBe("mail     9");
});
