/** Finds a contract by the name of its job, among what the modules of `producers/jobs/` export. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findPackageJSON } from "node:module";
import { dirname } from "node:path";
import { NotFoundError, OptionError } from "../errors.ts";
import { definitionOf, type Job } from "../job/contract.ts";
import { suggest } from "../options.ts";
import { loadModule } from "./load-module.ts";
import { moduleName, modulesIn } from "./module-files.ts";

/** Below the working directory, and below the package itself for the contracts it ships. */
const FOLDER = join("producers", "jobs");

/**
 * The contract of the job called `name`. The module of that name is looked at first.
 *
 * @throws NotFoundError with what there is; OptionError when a module cannot be read and none of the others has it
 */
export async function findContract(name: string): Promise<Job> {
  const folders = [join(process.cwd(), FOLDER), join(packageFolder(), FOLDER)];
  const paths = folders.flatMap(modulesIn).toSorted((a, b) => Number(moduleName(b) === name) - Number(moduleName(a) === name));
  const known = new Set<string>();
  const faults: unknown[] = [];
  for (const path of paths) {
    try {
      for (const job of Object.values(await loadModule(path)).filter(isContract)) {
        if (job.name === name) return job;
        known.add(job.name);
      }
    } catch (error) {
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults[0];
  throw notFound(name, known);
}

/** What this package ships lies beside its sources, and beside what was built from them. */
export function packageFolder(): string {
  const folder = dirname(findPackageJSON("..", import.meta.url) ?? ".");
  const built = join(folder, "dist");
  return import.meta.url.endsWith(".js") && existsSync(built) ? built : folder;
}

function isContract(value: unknown): value is Job {
  try {
    return definitionOf(value as Job) !== undefined;
  } catch (error) {
    if (error instanceof OptionError) return false;
    throw error;
  }
}

function notFound(name: string, known: ReadonlySet<string>): NotFoundError {
  const near = suggest(name, known);
  const there = known.size === 0 ? `no contract in ${FOLDER}/` : `there ${known.size === 1 ? "is" : "are"} ${[...known].toSorted().join(", ")}`;
  const hint = near === undefined ? there : `did you mean ${near}?`;
  return new NotFoundError(`no job is called ${JSON.stringify(name)}: ${hint} (--queue, --name and --unchecked put without a contract)`);
}
