/**
 * Holds that wrong uses are refused by the compiler, where they stand and in a few lines.
 *
 * In `mistakes/` each wrong line ends with `// error:` and a part of the message it must draw.
 */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const folder = new URL("mistakes/", import.meta.url);
const MOST_LINES = 6;

/** What the compiler says, by file and line. The first line of a message is long: both types are in it. */
async function compile(): Promise<ReadonlyMap<string, readonly string[]>> {
  const tsc = new URL("node_modules/typescript/bin/tsc", root).pathname;
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, [tsc, "-p", folder.pathname, "--pretty", "false"], { cwd: root.pathname }, (error, stdout) => resolve({ code: error?.code, stdout }));
  });
  expect(code, stdout).toBe(1);
  const errors = new Map<string, string[]>();
  let message: string[] = [];
  for (const line of stdout.trimEnd().split("\n")) {
    const start = /^test\/types\/(?<file>\S+)\((?<line>\d+),\d+\): error/.exec(line)?.groups;
    if (start) errors.set(`${start["file"]}:${start["line"]}`, (message = []));
    message.push(line);
  }
  return errors;
}

/** The part of a message that each line of these files must draw, by file and line. */
async function marks(): Promise<ReadonlyMap<string, string>> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  const marked = await Promise.all(
    files.map(async (name) => {
      const lines = (await readFile(new URL(name, folder), "utf8")).split("\n");
      return lines.flatMap((line, i) => {
        const part = /\/\/ error: (.*)$/.exec(line)?.[1];
        return part === undefined ? [] : [[`mistakes/${name}:${i + 1}`, part] as const];
      });
    }),
  );
  return new Map(marked.flat());
}

test("each mistake is refused where it stands, in a few lines that name it, and nothing else is", async () => {
  const [errors, expected] = await Promise.all([compile(), marks()]);
  expect(expected.size).toBeGreaterThan(40);
  expect([...errors.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
  for (const [place, part] of expected) {
    const message = errors.get(place) ?? [];
    expect(message.join("\n"), place).toContain(part);
    expect(message.length, message.join("\n")).toBeLessThanOrEqual(MOST_LINES);
  }
});
