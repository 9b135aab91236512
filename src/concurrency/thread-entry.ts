/** Where threads start: paths that hold in the sources and in what is built of them. */
import { fileURLToPath } from "node:url";

/**
 * The path of a module of ours that a thread starts with: beside `from`, and TypeScript or compiled as that is.
 *
 * @param from  `import.meta.url`
 */
export function threadEntry(from: string, name: string): string {
  return fileURLToPath(new URL(`./${name}${from.endsWith(".ts") ? ".ts" : ".js"}`, from));
}
