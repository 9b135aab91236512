/**
 * Loads a module of the user's, and says in plain words what Node cannot take: file, line, remedy.
 *
 * Node runs TypeScript by leaving its types out. What would need a compiler it refuses, in a dozen ways of which
 * few name the line and none the remedy.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { OptionError } from "../errors.ts";

/** What a module exports, by name. */
export type Exports = Readonly<Record<string, unknown>>;

/**
 * The exports of the module at `path`.
 *
 * @throws OptionError when Node cannot read it, or one it imports; what the module itself throws is passed on
 */
export async function loadModule(path: string): Promise<Exports> {
  const url = pathToFileURL(path).href;
  try {
    const module = (await import(url)) as Exports;
    // CommonJS that was built from ES modules hides its exports under `default`.
    const inner = module["default"] as Exports | null | undefined;
    return inner?.["__esModule"] === true ? inner : module;
  } catch (error) {
    throw (await explained(error, url)) ?? error;
  }
}

/** The lines of code at fault. */
interface Place {
  readonly file: string;
  readonly line: number | undefined;
}

async function explained(error: unknown, url: string): Promise<OptionError | undefined> {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  const remedy = REMEDIES.find((one) => (one.code === undefined ? error.name === one.name : code === one.code) && one.message.test(error.message));
  const refusedAt = placeOnTop(error) ?? (isUnplaced(error) ? await placeByChild(url) : undefined);
  if (remedy !== undefined) {
    const place = remedy.place?.(error) ?? refusedAt ?? placeOfFrame(error);
    return fault(place ?? { file: fileURLToPath(url), line: undefined }, remedy.says(error.message.match(remedy.message) ?? [], place), error);
  }
  // Any other SyntaxError was thrown by code that ran: by JSON.parse, say.
  if (!(error instanceof SyntaxError) || refusedAt === undefined) return undefined;
  const decorator = /^\s*(?:export\s+)?@[\w$]/.test(lineAt(refusedAt)) ? "Node runs no decorators: call the function, or build to JavaScript first" : undefined;
  return fault(refusedAt, decorator ?? error.message, error);
}

interface Remedy {
  readonly code?: string;
  readonly name?: string;
  readonly message: RegExp;
  readonly place?: (error: Error) => Place | undefined;
  /** @param found  the match of `message` */
  readonly says: (found: readonly string[], place: Place | undefined) => string;
}

const UNSUPPORTED = "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";
const MISSING = "ERR_MODULE_NOT_FOUND";

const REMEDIES: readonly Remedy[] = [
  { code: UNSUPPORTED, message: /\benum\b/, says: () => 'an enum needs a compiler, and Node only leaves types out: write const Colour = { red: "red" } as const' },
  { code: UNSUPPORTED, message: /parameter property/, says: () => "a parameter property needs a compiler, and Node only leaves types out: declare the field, and assign it in the constructor" },
  { code: UNSUPPORTED, message: /namespace|module/, says: () => "a namespace needs a compiler, and Node only leaves types out: export its members from a file of their own" },
  { code: UNSUPPORTED, message: /import equals/, says: () => 'import x = require("x") needs a compiler: write import x from "x"' },
  { code: UNSUPPORTED, message: /export assignment/, says: () => "export = x needs a compiler: write export default x" },
  { code: UNSUPPORTED, message: /angle-bracket/, says: () => "<Type>value is not taken: write value as Type" },
  { code: UNSUPPORTED, message: /(.*)/s, says: ([, said]) => `${said}: build to JavaScript first` },
  { code: "ERR_INVALID_TYPESCRIPT_SYNTAX", message: /(.*)/s, says: ([, said]) => said ?? "" },
  { code: "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING", message: /(?:)/, place: () => undefined, says: () => "it imports TypeScript from node_modules, which Node does not run: the package has to hold JavaScript" },
  { code: "ERR_UNKNOWN_FILE_EXTENSION", message: /"(\.\w+)" for (.+)$/, place: ({ message }) => onlyFile(/ for (.+)$/.exec(message)?.[1]), says: ([, extension]) => `Node runs .ts and .js, not ${extension}` },
  { code: "ERR_UNSUPPORTED_DIR_IMPORT", message: /import '(.+)' is not supported.* imported from (.+)$/, place: importPlace, says: ([, path = ""], place) => `Node imports files, not folders: ${importLine(place, path)}` },
  { code: MISSING, message: /module '(.+)' imported from (.+)$/, place: importPlace, says: ([, path = ""], place) => `there is no ${shownPath(path)}: ${importLine(place, path)}` },
  { code: MISSING, message: /package '([@~]\/.*)' imported from (.+)$/, place: importPlace, says: ([, name]) => `Node knows no "${name}": paths of tsconfig.json are the compiler's alone; use "imports" of package.json, or a relative path` },
  { code: MISSING, message: /package '(.+)' imported from (.+)$/, place: importPlace, says: ([, name]) => `the package ${name} is not installed: npm install ${name}` },
  { name: "SyntaxError", message: /does not provide an export named '(.+)'/, says: ([, name]) => `there is no export named ${name}; if it is a type, write import { type ${name} }` },
  { name: "ReferenceError", message: /^require is not defined in ES module/, says: () => 'require is CommonJS, and this is an ES module: write import x from "x"' },
  { name: "ReferenceError", message: /^(module|exports) is not defined in ES module/, says: ([, name]) => `${name} is CommonJS, and this is an ES module: write export default` },
  { name: "ReferenceError", message: /^__(dirname|filename) is not defined in ES module/, says: ([, name]) => `__${name} is CommonJS, and this is an ES module: write import.meta.${name}` },
];

function fault({ file, line }: Place, says: string, cause: Error): OptionError {
  return new OptionError(`${shownPath(file)}${line === undefined ? "" : `:${line}`}: ${says}`, { cause });
}

/** Where a text was refused: Node puts that on top of the stack, if it knows. */
function placeOnTop({ stack = "" }: { readonly stack?: string }): Place | undefined {
  return toPlace(/^(file:\/\/.+|\/.+|[A-Z]:\\.+):(\d+)\n/.exec(stack));
}

/** Where code that ran threw: the first frame outside of Node. */
function placeOfFrame({ stack = "" }: Error): Place | undefined {
  return toPlace(/^\s+at (?:.*\()?(file:\/\/.+?):(\d+):\d+\)?$/m.exec(stack));
}

function toPlace(found: RegExpExecArray | null): Place | undefined {
  const [, path, line] = found ?? [];
  if (path === undefined) return undefined;
  return { file: path.startsWith("file:") ? fileURLToPath(path) : path, line: Number(line) };
}

/** V8 refused the text, and Node kept to itself where: that is printed only when nobody catches the error. */
function isUnplaced(error: Error): boolean {
  return error instanceof SyntaxError && /^\s+at compileSourceTextModule/m.test(error.stack ?? "");
}

/** Nothing of the module runs in the child either: a text that V8 refuses is refused before. */
function placeByChild(url: string): Promise<Place | undefined> {
  const args = [...process.execArgv, "--input-type=module", "--eval", "await import(process.argv[1])", url];
  return new Promise((settle) => {
    execFile(process.execPath, args, { timeout: 10_000 }, (_, __, stderr) => settle(placeOnTop({ stack: stderr })));
  });
}

/** The line of the import that failed, found by what it names. */
function importPlace({ message }: Error): Place | undefined {
  const [, wanted, file] = /'(.+?)'.* imported from (.+)$/.exec(message) ?? [];
  if (wanted === undefined || file === undefined || !existsSync(file)) return onlyFile(file);
  const names = (specifier: string): boolean => (specifier.startsWith(".") ? resolve(dirname(file), specifier) === wanted : specifier === wanted || specifier.startsWith(`${wanted}/`));
  const index = readFileSync(file, "utf8")
    .split("\n")
    .findIndex((line) => names(/(?:from|import)\s*\(?\s*["']([^"']+)["']/.exec(line)?.[1] ?? ""));
  return { file, line: index < 0 ? undefined : index + 1 };
}

/** What to write instead of an import that names no file. */
function importLine(place: Place | undefined, path: string): string {
  const stem = /^\.[cm]?jsx?$/.test(extname(path)) ? path.slice(0, -extname(path).length) : path;
  const found = [stem, `${path}/index`].flatMap((base) => [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"].map((extension) => base + extension)).find((file) => existsSync(file));
  if (found === undefined || place === undefined) return "imports name the whole file, extension and all";
  const written = relative(dirname(place.file), found);
  return `write "${written.startsWith(".") ? written : `./${written}`}"`;
}

function onlyFile(file: string | undefined): Place | undefined {
  return file === undefined ? undefined : { file, line: undefined };
}

function lineAt({ file, line }: Place): string {
  return line === undefined || !existsSync(file) ? "" : (readFileSync(file, "utf8").split("\n")[line - 1] ?? "");
}

function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown.startsWith("..") ? path : shown;
}
