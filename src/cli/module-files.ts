/** Which files of a folder are modules to load. */
import { readdirSync } from "node:fs";
import { basename, extname, join } from "node:path";

/** What Node loads as it stands. Of files that differ only in their extension the first one counts: the others were built from it. */
const EXTENSIONS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];

/** Declarations and tests live beside modules, but are none. */
const NO_MODULE = /^\.|\.(d|test|spec)\.[cm]?[jt]s$/;

/** The modules right in a folder, by name; none where there is no folder. */
export function modulesIn(folder: string): string[] {
  const byName = new Map<string, string>();
  for (const file of filesIn(folder)) {
    const rank = EXTENSIONS.indexOf(extname(file));
    if (rank < 0 || NO_MODULE.test(file)) continue;
    const name = moduleName(file);
    const known = byName.get(name);
    if (known === undefined || rank < EXTENSIONS.indexOf(extname(known))) byName.set(name, file);
  }
  return [...byName.keys()].toSorted().map((name) => join(folder, byName.get(name) ?? ""));
}

/** `producers/files.ts` is `files`. */
export function moduleName(path: string): string {
  return basename(path, extname(path));
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
