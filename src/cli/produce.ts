/** `produce`: runs a program that puts jobs, with an app, its arguments and what it needs of a process. */
import { join, relative } from "node:path";
import type { App } from "../app.ts";
import { NotFoundError, OptionError } from "../errors.ts";
import type { Job } from "../job/contract.ts";
import type { Logger } from "../log.ts";
import { shown, suggest } from "../options.ts";
import { openApp, type Context } from "./context.ts";
import { findContract, packageFolder } from "./find-contract.ts";
import { loadModule } from "./load-module.ts";
import { moduleName, modulesIn } from "./module-files.ts";

/** What a producer gets beside the app and its arguments. */
export interface ProducerContext {
  /** Fires on Ctrl-C, SIGTERM, and when nobody reads `stdout` any more. */
  readonly signal: AbortSignal;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly log: Logger;
  /** The contract of a job by its name, from `producers/jobs/*`. @throws NotFoundError */
  readonly contract: (name: string) => Promise<Job>;
}

/** The default export of a module in `producers/`. */
export type Producer = (app: App, args: readonly string[], context: ProducerContext) => Promise<void>;

/** @throws NotFoundError when there is no such producer; OptionError when its module is none; whatever it throws itself */
export async function produce(context: Context, name: string, args: readonly string[]): Promise<void> {
  const path = find(name);
  const { default: producer } = await loadModule(path);
  if (typeof producer !== "function") {
    throw new OptionError(`expected ${relative(process.cwd(), path)} to export a function (app, args, context) as default, got ${shown(producer)}`);
  }
  await using app = await openApp(context);
  const { log, interruption } = context;
  await (producer as Producer)(app, args, { signal: interruption.signal, stdin: process.stdin, stdout: process.stdout, log, contract: findContract });
}

/** One's own go before those that the package ships. */
function find(name: string): string {
  const paths = [process.cwd(), packageFolder()].flatMap((folder) => modulesIn(join(folder, "producers")));
  const found = paths.find((path) => moduleName(path) === name);
  if (found !== undefined) return found;
  const names = [...new Set(paths.map(moduleName))].toSorted();
  const near = suggest(name, names);
  throw new NotFoundError(`no producer is called ${JSON.stringify(name)}: ${near === undefined ? `there are ${names.join(", ") || "none in producers/"}` : `did you mean ${near}?`}`);
}
