import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import * as fc from "fast-check";
import { connect, defineJob, type Job } from "millrace";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import produceLines, { type Row, rowsOf } from "../../producers/lines.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";

async function rows(text: string | Buffer | (string | Buffer)[], format: "ndjson" | "csv"): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rowsOf(Readable.from(Array.isArray(text) ? text : [text]), format)) found.push(row);
  return found;
}

const csvCell = fc.string({ unit: fc.constantFrom("a", "é", "東", ",", '"', "\n", "\r\n", " ", "'", ";"), maxLength: 6 });
const quoted = (cell: string) => (/[",\n\r]/.test(cell) || cell.trim() === "" ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Cut anywhere, in the middle of a character too. */
function cut(text: string, lengths: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });

test("reads NDJSON line by line, wherever the input is cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 20 }), cuts, fc.constantFrom("\n", "\r\n"), fc.boolean(), async (values, lengths, end, ended) => {
      const lines = values.map((value) => JSON.stringify(value));
      const found = await rows(cut(lines.join(end) + (ended ? end : ""), lengths), "ndjson");
      expect(found).toEqual(values.map((_, i) => ({ line: i + 1, value: JSON.parse(lines[i]!) })));
    }),
  );
});

test("reads the rows of a CSV, wherever the input is cut", async () => {
  const table = fc.integer({ min: 1, max: 4 }).chain((width) => fc.array(fc.array(csvCell, { minLength: width, maxLength: width }), { maxLength: 12 }));
  await fc.assert(
    fc.asyncProperty(table, cuts, fc.constantFrom("\n", "\r\n"), fc.boolean(), async (cells, lengths, end, ended) => {
      const header = (cells[0] ?? ["a"]).map((_, i) => `column ${i}`);
      const text = [header, ...cells].map((row) => row.map(quoted).join(",")).join(end) + (ended ? end : "");
      const found = await rows(cut(text, lengths), "csv");
      expect(found.map((row) => ("value" in row ? row.value : row))).toEqual(cells.map((row) => Object.fromEntries(row.map((cell, i) => [header[i], cell]))));
    }),
    { numRuns: 300 },
  );
});

test("says on which line of the input a row begins", async () => {
  const found = await rows('a,b\n1,2\n\n3,"x\ny\nz"\n5,6\n', "csv");
  expect(found).toEqual([
    { line: 2, value: { a: "1", b: "2" } },
    { line: 4, value: { a: "3", b: "x\ny\nz" } },
    { line: 7, value: { a: "5", b: "6" } },
  ]);
});

test("reports bad lines of NDJSON and reads the others", async () => {
  const text = Buffer.concat([Buffer.from('{"a":1}\n{"a":\n\n[2]\nnot json\n'), Buffer.from([0x22, 0xff, 0x22]), Buffer.from('\n"last"')]);
  expect(await rows(text, "ndjson")).toEqual([
    { line: 1, value: { a: 1 } },
    { line: 2, error: expect.stringMatching(/^expected JSON: /) },
    { line: 4, value: [2] },
    { line: 5, error: expect.stringMatching(/^expected JSON: /) },
    { line: 6, error: "expected UTF-8" },
    { line: 7, value: "last" },
  ]);
});

test("reports bad rows of CSV and loses no row behind them", async () => {
  const lines = ["a,b", "1,2", "1,2,3", "4", 'x,"y"z', "5,6", 'w"x,y', "7,8", '9,"open', "10,11", '"q",r', '12,"13"'];
  expect(await rows(lines.join("\n"), "csv")).toEqual([
    { line: 2, value: { a: "1", b: "2" } },
    { line: 3, error: "expected 2 cells as in the header, got 3" },
    { line: 4, error: "expected 2 cells as in the header, got 1" },
    { line: 5, error: "expected CSV, got a quote out of place" },
    { line: 6, value: { a: "5", b: "6" } },
    { line: 7, error: "expected CSV, got a quote out of place" },
    { line: 8, value: { a: "7", b: "8" } },
    { line: 9, error: "expected CSV, got a quote out of place" },
    { line: 10, value: { a: "10", b: "11" } },
    { line: 11, value: { a: "q", b: "r" } },
    { line: 12, value: { a: "12", b: "13" } },
  ]);
});

test("drops a byte order mark and takes no line for none", async () => {
  expect(await rows("\ufeffa\n1\n", "csv")).toEqual([{ line: 2, value: { a: "1" } }]);
  expect(await rows('\ufeff{"a":1}', "ndjson")).toEqual([{ line: 1, value: { a: 1 } }]);
  for (const nothing of ["", "\n", "\r\n\n  \n", "\ufeff"]) {
    expect(await rows(nothing, "csv")).toEqual([]);
    expect(await rows(nothing, "ndjson")).toEqual([]);
  }
  expect(await rows("a,b\n", "csv")).toEqual([]);
});

test("takes a column for a name, whatever it is called", async () => {
  const [row] = await rows("__proto__,constructor\n1,2\n", "csv");
  expect(Object.entries((row as { value: object }).value)).toEqual([
    ["__proto__", "1"],
    ["constructor", "2"],
  ]);
});

test.each([
  ["a,b,a\n1,2,3", '"a" twice'],
  ["a,,b\n1,2,3", "an empty one"],
])("refuses a header that does not name every column: %j", async (text, message) => {
  await expect(rows(text, "csv")).rejects.toThrow(`expected a header of distinct names in line 1, got ${message}`);
});

test("skips a line of any length without keeping it", async () => {
  const piece = Buffer.alloc(1 << 20, "x");
  async function* long() {
    yield Buffer.from('"before"\n"');
    for (let i = 0; i < 300; i++) yield piece;
    yield Buffer.from('"\n"after"\n');
  }
  const before = process.memoryUsage.rss();
  const found: Row[] = [];
  for await (const row of rowsOf(long(), "ndjson")) found.push(row);
  expect(found).toEqual([{ line: 1, value: "before" }, { line: 2, error: "expected at most 4194304 bytes" }, { line: 3, value: "after" }]);
  expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
});

test("does not wait for ever for a quote to close", async () => {
  const piece = Buffer.from(`3,${"4".repeat(1000)}\n`.repeat(100));
  async function* open() {
    yield Buffer.from('a,b\n1,"2\n');
    for (let i = 0; i < 100; i++) yield piece;
  }
  let count = 0;
  let bad: Row | undefined;
  for await (const row of rowsOf(open(), "csv")) {
    if ("error" in row) bad = row;
    else count++;
  }
  expect(bad).toEqual({ line: 2, error: "expected CSV, got a quote out of place" });
  expect(count).toBe(10_000);
});

const row = defineJob("row", { payload: z.object({ name: z.string(), amount: z.coerce.number<string | number>() }) });

async function produce(args: readonly string[], input: string | Readable, signal = new AbortController().signal) {
  const prefix = freshPrefix();
  const app = connect({ redis: redisUrl(), prefix });
  onTestFinished(() => app[Symbol.asyncDispose]());
  const said: string[] = [];
  const log = { info: (text: string) => void said.push(text), warn: (text: string) => void said.push(text) };
  const contract = async (name: string) => (name === "row" ? (row as unknown as Job) : expect.fail(`no job ${name}`));
  const stdin = typeof input === "string" ? Readable.from([Buffer.from(input)]) : input;
  const error: unknown = await produceLines(app, args, { signal, stdin, log, contract }).then(() => undefined, (error: unknown) => error);
  const client = redisClient();
  const ids = (await client.lrange(`${prefix}:row:wait`, 0, -1)).toReversed();
  const put = await Promise.all(ids.map(async (id) => JSON.parse((await client.hget(`${prefix}:row:${id}`, "data")) ?? "") as unknown));
  return { error, said, put, ids, app };
}

test("puts the lines of standard input, in their order", async () => {
  const lines = Array.from({ length: 1000 }, (_, i) => ({ name: `n${i}`, amount: i }));
  const { error, said, put } = await produce(["--job", "row"], lines.map((line) => JSON.stringify(line)).join("\n"));
  expect(error).toBeUndefined();
  expect(put).toEqual(lines);
  expect(said).toEqual(["1000 put, 0 there already, 0 bad"]);
});

test("puts the rows of a file, whose name tells that it is CSV", async () => {
  const file = join(await mkdtemp(join(tmpdir(), "lines-")), "rows.CSV");
  onTestFinished(() => rm(dirname(file), { recursive: true }));
  await writeFile(file, 'name,amount\n"a, b",1\nc,2.5\n');
  expect((await produce(["--job", "row", file], "")).put).toEqual([{ name: "a, b", amount: "1" }, { name: "c", amount: "2.5" }]);
  expect((await produce(["--job", "row", "--format", "ndjson", file], "")).error).toMatchObject({ message: "3 bad lines were not put" });
});

test("reports what the contract refuses by its line, puts the others, and fails in the end", async () => {
  const { error, said, put } = await produce(["--job", "row"], '{"name":"a","amount":1}\n{"name":7,"amount":2}\nnot json\n{"name":"d","amount":9007199254740993}\n{"name":"e","amount":5}\n');
  expect(put).toEqual([{ name: "a", amount: 1 }, { name: "e", amount: 5 }]);
  expect(error).toMatchObject({ message: "3 bad lines were not put" });
  expect(said.slice(0, 3).sort()).toEqual([expect.stringMatching(/^line 2: .*name/), expect.stringMatching(/^line 3: expected JSON/), expect.stringMatching(/^line 4: .*amount/)]);
  expect(said[3]).toBe("2 put, 0 there already, 3 bad");
});

test("puts nothing behind a bad line when it is strict", async () => {
  const { error, said, put } = await produce(["--strict", "--job", "row"], '{"name":"a","amount":1}\n{"name":7}\n{"name":"c","amount":3}\n');
  expect(put).toEqual([{ name: "a", amount: 1 }]);
  expect(error).toMatchObject({ message: "line 2 is bad: nothing after it was put" });
  expect(said.at(-1)).toBe("1 put, 0 there already, 1 bad");
});

test("makes ids of fields and of the line, so that a second run puts nothing twice", async () => {
  const input = '{"name":"a","amount":1}\n\n{"name":"b","amount":2}\n{"amount":3}\n';
  const { ids, said } = await produce(["--job", "row", "--id", "import-{name}-{#}"], input);
  expect(ids).toEqual(["import-a-1", "import-b-3"]);
  expect(said).toContain('line 4: expected text or a number in the field "name", for the job\'s id');
  const twice = await produce(["--job", "row", "--id", "{name}"], '{"name":"a","amount":1}\n{"name":"a","amount":1}\n');
  expect(twice.said).toEqual(["1 put, 1 there already, 0 bad"]);
});

test.each([
  [[], "expected --job NAME"],
  [["--job", "row", "a", "b"], "expected one file, got 2"],
  [["--job", "row", "--format", "xml"], 'expected --format ndjson or csv, got "xml"'],
  [["--jbo", "row"], "produce lines takes --job, --format, --id, --strict and one FILE"],
])("refuses %j", async (args, message) => {
  expect((await produce(args, "")).error).toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining(message) });
});

test("ends with the error of the file when it cannot be read", async () => {
  expect((await produce(["--job", "row", "/nowhere/file.csv"], "")).error).toMatchObject({ code: "ENOENT" });
});

test("stops when it is told to, also while its input says nothing", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const input = new Readable({ read() {} });
  input.push('{"name":"a","amount":1}\n');
  const produced = produce(["--job", "row"], input, controller.signal);
  controller.abort(reason);
  expect((await produced).error).toBe(reason);
});

test("reads no faster than it puts", async () => {
  let read = 0;
  const line = Buffer.from(`{"name":"${"x".repeat(1000)}","amount":1}\n`.repeat(100));
  const before = process.memoryUsage.rss();
  let most = 0;
  const input = Readable.from(
    (function* () {
      for (; read < 300; read++) {
        most = Math.max(most, process.memoryUsage.rss());
        yield line;
      }
    })(),
    { objectMode: false, highWaterMark: 64 * 1024 },
  );
  const { said } = await produce(["--job", "row"], input);
  expect(said).toEqual(["30000 put, 0 there already, 0 bad"]);
  expect(most - before).toBeLessThan(150e6);
}, 60_000);
