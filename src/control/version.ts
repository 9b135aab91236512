/** The version of this package. */
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";

let known: string | undefined;

export function packageVersion(): string {
  return (known ??= read());
}

function read(): string {
  const path = findPackageJSON("..", import.meta.url);
  return path === undefined ? "unknown" : (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
