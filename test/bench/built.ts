/** The package as its users have it: built, beside what it depends on. */
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const at = (path: string): string => new URL(path, import.meta.url).pathname;

let building: Promise<string> | undefined;

/** Where it stands, with a worker of theirs; gone with this process. */
export function built(): Promise<string> {
  building ??= (async () => {
    const folder = temporary("built");
    await run(process.execPath, [at("../../node_modules/typescript/bin/tsc"), "-p", at("../../tsconfig.build.json"), "--outDir", join(folder, "dist")]);
    copyFileSync(at("../../package.json"), join(folder, "package.json"));
    copyFileSync(at("programs/worker.ts"), join(folder, "worker.ts"));
    symlinkSync(at("../../node_modules"), join(folder, "node_modules"));
    return folder;
  })();
  return building;
}

/** A folder that is gone with this process. */
export function temporary(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `millrace-bench-${name}-`));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
