/** Where a module is that was named by its source. */
import { existsSync } from "node:fs";

/** The address of the module: of its source, or of what that was compiled to since. */
export function builtAddress(module: URL): string {
  const { href } = module;
  if (module.protocol !== "file:" || !href.endsWith(".ts") || existsSync(module)) return href;
  const built = `${href.slice(0, -".ts".length)}.js`;
  return existsSync(new URL(built)) ? built : href;
}
