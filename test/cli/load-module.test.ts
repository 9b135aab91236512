import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { millrace, project, type Ended } from "../support/command.ts";

// The config file is a module of the user's as any other, and the one whose loading needs nothing else.
async function loading(text: string, files: Readonly<Record<string, string>> = {}, file = "millrace.config.ts"): Promise<Ended & { folder: string }> {
  const folder = project({ [file]: text, ...files });
  const ended = await millrace(["redis", "status"], { cwd: folder });
  return { ...ended, folder };
}

const sound = { "sound.ts": "export const sound = 1; export interface Shape { a: 1 }" };

test.each([
  ["an enum", "\nenum Colour { Red }\nexport default {};", 2, "const Colour ="],
  ["a parameter property", "export class A {\n  constructor(private readonly a: number) {}\n}\nexport default {};", 2, "assign it in the constructor"],
  ["a namespace", "export namespace N { export const a = 1; }\nexport default {};", 1, "from a file of their own"],
  ["import =", 'import fs = require("node:fs");\nexport default { fs };', 1, 'import x from "x"'],
  ["export =", "export = {};", 1, "export default x"],
  ["<Type>value", 'export default <object>{ prefix: "x" };', 1, "value as Type"],
  ["a decorator", "const dec = (a: unknown, b: unknown) => {};\n\n@dec\nclass A {}\nexport default {};", 3, "Node runs no decorators"],
  ["an import without its extension", 'const a = 1;\nimport { sound } from "./sound";\nexport default { a, sound };', 2, 'write "./sound.ts"'],
  ["an import of .js that is .ts", 'import { sound } from "./sound.js";\nexport default { sound };', 1, 'write "./sound.ts"'],
  ["an import of what is nowhere", 'import { gone } from "./gone.ts";\nexport default { gone };', 1, "there is no gone.ts"],
  ["an import of a type as a value", 'import { Shape, sound } from "./sound.ts";\nexport default { sound } as unknown as Shape;', 1, "import { type Shape }"],
  ["an alias of tsconfig.json", 'import { sound } from "@/sound";\nexport default { sound };', 1, "tsconfig.json"],
  ["a package that is not installed", 'import nothing from "not-installed-here";\nexport default { nothing };', 1, "npm install not-installed-here"],
  ["require", 'import { sound } from "./sound.ts";\nconst fs = require("node:fs");\nexport default { fs, sound };', 2, 'import x from "x"'],
  ["module.exports", 'import { sound } from "./sound.ts";\nmodule.exports = { sound };', 2, "export default"],
  ["__dirname", "export const here = __dirname;\nexport default {};", 1, "import.meta.dirname"],
  ["what is no TypeScript", "export default {{;", 1, "Unexpected token"],
])("%s is refused with its line and the remedy", async (_, text, line, remedy) => {
  const { code, stderr } = await loading(text, sound);
  expect(stderr.split("\n")[0]).toMatch(new RegExp(`^error: millrace\\.config\\.ts:${line}: `));
  expect(stderr).toContain(remedy);
  expect(code).toBe(2);
});

test("a fault in what a module imports is found there", async () => {
  const { stderr } = await loading('import { a } from "./inner/a.ts";\nexport default { a };', { "inner/a.ts": "export const a = 1;\nexport enum E { A }" });
  expect(stderr).toMatch(/^error: inner\/a\.ts:2: an enum needs a compiler/);
});

test("a decorator in what a module imports is found there, too", async () => {
  const { stderr } = await loading('import { A } from "./a.ts";\nexport default { A };', { "a.ts": "const dec = (a: unknown, b: unknown) => {};\n@dec\nexport class A {}" });
  expect(stderr).toMatch(/^error: a\.ts:2: Node runs no decorators/);
});

test("a folder is no module, but its index is", async () => {
  const { stderr } = await loading('import { a } from "./folder";\nexport default { a };', { "folder/index.ts": "export const a = 1;" });
  expect(stderr).toContain('write "./folder/index.ts"');
});

test("plain JavaScript that V8 refuses has its line, too", async () => {
  const { code, stderr } = await loading("const a = 1;\nconst a = 2;\nexport default {};", {}, "millrace.config.js");
  expect(stderr).toMatch(/^error: millrace\.config\.js:2: .*already been declared/);
  expect(code).toBe(2);
});

test("what the module itself throws is passed on with its place, and is no misuse of ours", async () => {
  const { code, stderr } = await loading('throw new Error("no database");');
  expect(stderr).toMatch(/^error: no database\n\s+at .*millrace\.config\.ts:1/);
  expect(code).toBe(1);
});

test("a SyntaxError of code that ran is not taken for one of the module", async () => {
  const { code, stderr } = await loading('JSON.parse("{");\nexport default {};');
  expect(stderr).toMatch(/^error: .*JSON/);
  expect(stderr).toContain("at JSON.parse");
  expect(code).toBe(1);
});

test("CommonJS that was built from ES modules is taken as it was meant", async () => {
  const folder = project({});
  mkdirSync(join(folder, "lib"));
  writeFileSync(join(folder, "package.json"), '{"type":"commonjs"}');
  writeFileSync(join(folder, "millrace.config.js"), 'Object.defineProperty(exports, "__esModule", { value: true });\nexports.default = { prefixx: "x" };');
  const { stderr } = await millrace(["redis", "status"], { cwd: folder });
  expect(stderr).toContain("did you mean prefix?");
});
