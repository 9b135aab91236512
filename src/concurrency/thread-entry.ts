/** Where threads start, and what they import: paths that hold in the sources and in what is built of them. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * The path of a module of ours that a thread starts with: beside `from`, and TypeScript or compiled as that is.
 *
 * @param from  `import.meta.url`
 */
export function threadEntry(from: string, name: string): string {
  return fileURLToPath(new URL(`./${name}${from.endsWith(".ts") ? ".ts" : ".js"}`, from));
}

/** The address of a module that was named by its source, in a program that was compiled since. */
export function builtAddress(module: URL): string {
  const { href } = module;
  if (module.protocol !== "file:" || !href.endsWith(".ts") || existsSync(module)) return href;
  const built = `${href.slice(0, -".ts".length)}.js`;
  return existsSync(new URL(built)) ? built : href;
}
