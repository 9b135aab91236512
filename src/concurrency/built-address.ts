/** Where a module is that was named by its source. */
import { existsSync } from "node:fs";

const SOURCE = /\.([cm]?)ts$/;

/** The address of the module: of its source, or of what that was compiled to since. */
export function builtAddress(module: URL): string {
  const { href } = module;
  if (module.protocol !== "file:" || !SOURCE.test(href) || existsSync(module)) return href;
  const built = href.replace(SOURCE, ".$1js");
  return existsSync(new URL(built)) ? built : href;
}
