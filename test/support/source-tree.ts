/** Reads TypeScript modules as syntax: what each imports, throws and declares. For tests that hold rules over the sources. */
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { posix } from "node:path";
import { parseAst } from "vitest/node";

/** A node of the ESTree that the parser gives; fields are read where they are needed. */
export interface SyntaxNode {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Import {
  readonly specifier: string;
  /** The path of the module inside the tree; undefined for packages, Node modules and files that are not in the tree. */
  readonly target: string | undefined;
  /** Gone at run time: `import type`, `import("…")` in a type. */
  readonly typeOnly: boolean;
  /** `new URL("./x.ts", import.meta.url)`: not an import by syntax, but one by effect. */
  readonly byUrl: boolean;
}

export interface Module {
  readonly path: string;
  readonly source: string;
  readonly program: SyntaxNode;
  readonly imports: readonly Import[];
  /** Nothing of it runs: types, and lists of what other modules export. */
  readonly declaresOnly: boolean;
}

/** Source text by path from the root, with slashes: `src/job/contract.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Reads every `.ts` file below the folders, and the files named. */
export function readSources(root: URL, places: readonly string[]): Sources {
  const paths = places.flatMap((place) =>
    place.endsWith(".ts")
      ? [place]
      : readdirSync(new URL(place, root), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
          .map((entry) => posix.join(posix.relative(root.pathname, entry.parentPath), entry.name)),
  );
  return new Map(paths.toSorted().map((path) => [path, readFileSync(new URL(path, root), "utf8")]));
}

/**
 * Parses the modules and resolves their imports of one another.
 *
 * @param ownNames  what specifiers of the package itself stand for: `millrace/job` -> `src/job/index.ts`
 */
export function parseModules(sources: Sources, ownNames: ReadonlyMap<string, string>): readonly Module[] {
  return [...sources].map(([path, source]) => {
    const program = parseAst(source, { lang: "ts", astType: "ts" }, path) as unknown as SyntaxNode;
    const imports = [...nodesOf(program)].flatMap((node) => {
      const found = importOf(node);
      if (found === undefined) return [];
      const beside = found.specifier.startsWith(".") ? posix.join(posix.dirname(path), found.specifier) : undefined;
      const target = beside ?? ownNames.get(found.specifier);
      return [{ ...found, target: target !== undefined && sources.has(target) ? target : undefined }];
    });
    return { path, source, program, imports, declaresOnly: statementsOf(program).every(declares) };
  });
}

/** The node and everything below it, in source order. */
export function* nodesOf(node: SyntaxNode): Generator<SyntaxNode> {
  yield node;
  for (const field of Object.values(node)) {
    for (const child of Array.isArray(field) ? field : [field]) if (isNode(child)) yield* nodesOf(child);
  }
}

export function isNodeModule(specifier: string): boolean {
  return specifier.startsWith("node:") || builtinModules.includes(specifier);
}

/** The package of a bare specifier: `@a/b/c` -> `@a/b`; undefined for relative paths and Node modules. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || isNodeModule(specifier)) return undefined;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function statementsOf(program: SyntaxNode): readonly SyntaxNode[] {
  return program["body"] as readonly SyntaxNode[];
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function importOf(node: SyntaxNode): Omit<Import, "target"> | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return literal(node["source"], { typeOnly: (node["importKind"] ?? node["exportKind"]) === "type" || onlyTypes(node) });
    case "ImportExpression":
      return literal(node["source"], {});
    case "TSImportType":
      return literal(node["source"], { typeOnly: true });
    case "NewExpression": {
      const [address, base] = node["arguments"] as readonly (SyntaxNode | undefined)[];
      const ofThisModule = [...(base === undefined ? [] : nodesOf(base))].some(({ type }) => type === "MetaProperty");
      return ofThisModule && isNode(node["callee"]) && node["callee"]["name"] === "URL" ? literal(address, { byUrl: true }) : undefined;
    }
    default:
      return undefined;
  }
}

function literal(source: unknown, { typeOnly = false, byUrl = false }): Omit<Import, "target"> | undefined {
  if (!isNode(source) || typeof source["value"] !== "string") return undefined;
  return { specifier: source["value"], typeOnly, byUrl };
}

function onlyTypes(node: SyntaxNode): boolean {
  const specifiers = (node["specifiers"] ?? []) as readonly SyntaxNode[];
  return specifiers.length > 0 && specifiers.every((one) => (one["importKind"] ?? one["exportKind"]) === "type");
}

function declares(statement: SyntaxNode): boolean {
  const { declaration } = statement;
  if (statement.type === "ExportNamedDeclaration") return !isNode(declaration) || declares(declaration);
  if (statement["declare"] === true) return true;
  return ["ImportDeclaration", "ExportAllDeclaration", "TSInterfaceDeclaration", "TSTypeAliasDeclaration"].includes(statement.type);
}
