/** Finds a contract by the name of its job, among what the modules of `producers/jobs/` export. */
import { join } from "node:path";
import { NotFoundError, OptionError } from "../errors.ts";
import { definitionOf, type Job } from "../job/contract.ts";
import { suggest } from "../options.ts";
import { loadModule } from "./load-module.ts";
import { moduleName, modulesIn } from "./module-files.ts";

/** Below the working directory, then below the package for the contracts it ships. */
const FOLDER = join("producers", "jobs");

/**
 * The contract of the job called `name`. The module of that name is looked at first.
 *
 * @throws NotFoundError with what there is; OptionError when a module cannot be read and none of the others has it
 */
export async function findContract(name: string): Promise<Job> {
  const known = new Set<string>();
  for (const folder of new Set([process.cwd(), packageFolder()])) {
    const faults: unknown[] = [];
    const paths = modulesIn(join(folder, FOLDER)).toSorted((a, b) => Number(moduleName(b) === name) - Number(moduleName(a) === name));
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
    // The contract may stand in the module at fault: a shipped one of the same name would not be what was meant.
    if (faults.length > 0) throw faults[0];
  }
  throw notFound(name, known);
}

/** What this package ships lies beside its sources, and what was built from it beside what was built from them. */
export function packageFolder(): string {
  return join(import.meta.dirname, "../..");
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
