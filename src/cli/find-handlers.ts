/** Finds the handlers that a worker is to run: the default exports of modules. */
import { statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { NotFoundError, OptionError } from "../errors.ts";
import { definitionOf } from "../job/contract.ts";
import type { Handler } from "../job/handler.ts";
import { shown } from "../options.ts";
import { loadModule } from "./load-module.ts";
import { modulesIn } from "./module-files.ts";

export interface Found {
  readonly handlers: readonly Handler[];
  /** Modules of folders that hold no handler. */
  readonly passedOver: readonly string[];
}

/**
 * The handlers of files, and of the modules right in folders.
 *
 * @throws NotFoundError when a path leads nowhere, or there is no handler at all
 * @throws OptionError when a file that was named holds no handler, or Node cannot take a module
 */
export async function findHandlers(paths: readonly string[]): Promise<Found> {
  const handlers: Handler[] = [];
  const passedOver: string[] = [];
  for (const path of paths) {
    const isFolder = isFolderAt(path);
    for (const module of isFolder ? modulesIn(path) : [path]) {
      const { default: exported } = await loadModule(resolve(module));
      if (isHandler(exported)) handlers.push(exported);
      else if (isFolder) passedOver.push(relative(process.cwd(), module));
      else throw new OptionError(`expected ${path} to export as default what defineHandler makes, got ${exported === undefined ? "no default export" : shown(exported)}`);
    }
  }
  if (handlers.length > 0) return { handlers, passedOver };
  const seen = passedOver.length === 0 ? "there is no module" : `${passedOver.join(", ")} ${passedOver.length === 1 ? "has" : "have"} none`;
  throw new NotFoundError(`no handler found: looked in ${paths.join(", ")} for modules (.ts, .js) whose default export is made by defineHandler; ${seen}`);
}

function isFolderAt(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new NotFoundError(`no handler found: there is no ${path} in ${process.cwd()}`);
  return found.isDirectory();
}

/** By its shape, since it may come from another copy of the package. */
function isHandler(value: unknown): value is Handler {
  const { job, run } = (value ?? {}) as Partial<Handler>;
  if (job === undefined || typeof run !== "function") return false;
  try {
    return definitionOf(job) !== undefined;
  } catch (error) {
    if (error instanceof OptionError) return false;
    throw error;
  }
}
