/** Holds the register of errors: one base, documented classes, the tree of the header, and no error outside of it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as register from "../src/errors.ts";
import { nodesOf, parseModules, readSources, type SyntaxNode } from "./support/source-tree.ts";

const root = new URL("../", import.meta.url);
/** Ends ioredis's own commands in ioredis's own way; redis/errors.ts translates what comes of it. */
const ioredisFace = "src/redis/client.ts";
const source = readFileSync(new URL("src/errors.ts", root), "utf8");

type ErrorClass = abstract new (...args: never) => register.MillraceError;
const classes: [string, ErrorClass][] = Object.entries(register);
const concrete = classes.filter(([name]) => name !== "MillraceError");
const codes = codesOf(source);

test("every class extends MillraceError and carries its own name", () => {
  for (const [name, errorClass] of concrete) {
    expect(errorClass.prototype, name).toBeInstanceOf(register.MillraceError);
    expect(errorClass.prototype.name, name).toBe(name);
  }
  expect(register.MillraceError.prototype).toBeInstanceOf(Error);
});

test("every class has a code, and no two share one", () => {
  expect([...codes.keys()].toSorted()).toEqual(concrete.map(([name]) => name).toSorted());
  expect(new Set(codes.values()).size).toBe(concrete.length);
  for (const [name, code] of codes) expect(code, name).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
});

test("an error shows its name, its code and what caused it", () => {
  const cause = new Error("refused");
  const error = new register.BackendFullError("Redis is full", { cause });
  expect(error).toMatchObject({ name: "BackendFullError", code: "BACKEND_FULL", message: "Redis is full", cause });
  expect(error).toBeInstanceOf(register.BackendError);
  expect(String(error)).toBe("BackendFullError: Redis is full");
});

test("every class has a docstring", () => expect(undocumented(source)).toEqual([]));

test("the header's tree shows every class with its code below its parent", () => {
  expect(treeOf(source)).toEqual(
    new Map(classes.map(([name, errorClass]) => [name, { parent: parentOf(errorClass), code: codes.get(name) }])),
  );
});

test("nothing in the sources throws an error that is not in the register", () => {
  const modules = parseModules(readSources(root, ["src"]), new Map()).filter(({ path }) => path !== ioredisFace);
  expect(modules.flatMap(({ path, program }) => strayErrors(program).map((thrown) => `${path}: ${thrown}`))).toEqual([]);
});

test("these checks can fail", () => {
  const made = `/**
 * MillraceError
 * ├── OneError   ONE   the first
 * │   └── TwoError TWO the second
 * └── steering
 *     └── Three  THREE the third
 */
/** Said. */ export class OneError extends MillraceError { readonly code: string = "ONE"; }
export class TwoError extends OneError { override readonly code = "TWO"; }`;
  expect(treeOf(made)).toEqual(
    new Map([
      ["MillraceError", { parent: undefined, code: undefined }],
      ["OneError", { parent: "MillraceError", code: "ONE" }],
      ["TwoError", { parent: "OneError", code: "TWO" }],
      ["Three", { parent: "MillraceError", code: "THREE" }],
    ]),
  );
  expect(undocumented(made)).toEqual(["TwoError"]);
  expect(codesOf(made)).toEqual(new Map([["OneError", "ONE"], ["TwoError", "TWO"]]));
  const throwing = `throw new Error("a"); throw Error("b"); new Promise((_, reject) => reject(new TypeError("c")));
    throw new OptionError("d"); const kept = new Error("e"); throw error; controller.abort(new RangeError("f"));`;
  const [module] = parseModules(new Map([["made.ts", throwing]]), new Map());
  expect(module && strayErrors(module.program)).toEqual(["Error", "Error", "TypeError", "RangeError"]);
});

/** Name -> parent and code, from the tree that the header draws; `steering …` lines group, they are no classes. */
function treeOf(text: string): Map<string, { parent: string | undefined; code: string | undefined }> {
  const header = text.slice(0, text.indexOf("*/"));
  const above: { depth: number; name: string }[] = [];
  const found = new Map<string, { parent: string | undefined; code: string | undefined }>();
  for (const line of header.split("\n")) {
    const [, branch = "", name = "", code] = /^ \* ([│├└─ ]*)([A-Z]\w+|steering)(?: +([A-Z_]+) .*)?.*$/.exec(line) ?? [];
    const drawn = name === "MillraceError" ? line.endsWith(name) : name === "steering" || code !== undefined;
    if (!drawn) continue;
    while (above.length > 0 && (above.at(-1)?.depth ?? 0) >= branch.length) above.pop();
    const parent = above.findLast((one) => one.name !== "steering")?.name;
    if (name !== "steering") found.set(name, { parent, code });
    above.push({ depth: branch.length, name });
  }
  return found;
}

function parentOf(errorClass: ErrorClass): string | undefined {
  const parent = Object.getPrototypeOf(errorClass) as { name: string };
  return parent === Error ? undefined : parent.name;
}

function codesOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const node of classNodes(text)) {
    for (const field of nodesOf(node)) {
      if (field.type !== "PropertyDefinition" || (field["key"] as SyntaxNode)["name"] !== "code") continue;
      found.set((node["id"] as SyntaxNode)["name"] as string, (field["value"] as SyntaxNode)["value"] as string);
    }
  }
  return found;
}

function undocumented(text: string): string[] {
  return classNodes(text)
    .filter((node) => !/\/\*\*(?:(?!\*\/)[^])+\*\/\s*export (abstract )?$/.test(text.slice(0, node["start"] as number)))
    .map((node) => (node["id"] as SyntaxNode)["name"] as string);
}

function classNodes(text: string): SyntaxNode[] {
  const [module] = parseModules(new Map([["errors.ts", text]]), new Map());
  return [...nodesOf(module?.program ?? { type: "Program" })].filter(({ type }) => type === "ClassDeclaration");
}

/** Names of plain errors that are thrown, or handed to `reject`, `abort` or the like where they are made. */
function strayErrors(program: SyntaxNode): string[] {
  return [...nodesOf(program)].flatMap((node) => {
    const callee = node["callee"] as SyntaxNode | undefined;
    const calledBy = String(callee?.["name"] ?? (callee?.["property"] as SyntaxNode | undefined)?.["name"]);
    const rejects = node.type === "CallExpression" && /^(reject|abort|throw)/.test(calledBy);
    const thrown = node.type === "ThrowStatement" ? [node["argument"]] : rejects ? (node["arguments"] as unknown[]) : [];
    return (thrown as (SyntaxNode | undefined)[]).flatMap((value) => {
      const name = ((value?.["callee"] as SyntaxNode | undefined)?.["name"] ?? "") as string;
      return ["Error", "TypeError", "RangeError", "SyntaxError"].includes(name) ? [name] : [];
    });
  });
}
