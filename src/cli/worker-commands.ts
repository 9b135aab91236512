/** `worker …`, but for `worker start`. */
import type { Command } from "commander";
import { byDefault, confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import type { ProfileFlags, StopFlags, WorkersFlags } from "./worker-control.ts";

export function workerCommands(parent: Command, run: Run): void {
  const worker = noun(parent, "worker", "Processes that run handlers.").alias("workers");
  const list = leaf(worker, "list", "every worker that runs: what, how many slots, its memory, its event loop").addHelpText("after", examples("millrace worker list", "millrace workers --json | jq 'select(.state != \"ready\")'"));
  does(list, run, async (context) => (await import("./worker-inspect.ts")).list(context));
  byDefault(worker, list);

  const simple = [
    ["ping", "whether they answer within a second"],
    ["quiet", "take no new jobs; what runs goes on"],
    ["resume", "take jobs again after quiet"],
    ["restart", "have their supervisor replace them, one after the other"],
  ] as const;
  for (const [verb, summary] of simple) {
    does(some(leaf(worker, verb, summary)), run, async (context, names: string[], flags: WorkersFlags) => (await import("./worker-control.ts"))[verb](context, names, flags));
  }
  const stop = confirmed(some(leaf(worker, "stop", "end them as SIGTERM does; a supervisor starts nobody instead")))
    .option("--wait <time>", "until they are gone, for so long at most")
    .addHelpText("after", examples("millrace worker stop h4k2", "millrace worker stop --all --yes --wait 1m"));
  does(stop, run, async (context, names: string[], flags: StopFlags) => (await import("./worker-control.ts")).stop(context, names, flags));
  const scale = some(leaf(worker, "scale", "run so many tasks at once from now on"))
    .requiredOption("--concurrency <n>", "tasks at once, of each; at least 1")
    .addHelpText("after", examples("millrace worker scale h4k2 --concurrency 50"));
  does(scale, run, async (context, names: string[], flags: WorkersFlags & { concurrency: string }) => (await import("./worker-control.ts")).scale(context, names, flags));
  const dump = some(leaf(worker, "dump", "each task and where it waits, the event loop, the memory")).addHelpText("after", examples("millrace worker dump h4k2", "millrace worker dump mill --json | jq '.tasks[].waitsAt'"));
  does(dump, run, async (context, names: string[], flags: WorkersFlags) => (await import("./worker-inspect.ts")).dump(context, names, flags));
  const profile = some(leaf(worker, "profile", "where they spend their time, as .cpuprofile files"))
    .option("--seconds <n>", "for so long, up to 60 (default: 10)")
    .option("--out <folder>", "where the files go (default: the current one)")
    .addHelpText("after", examples("millrace worker profile h4k2 --seconds 10"));
  does(profile, run, async (context, names: string[], flags: ProfileFlags) => (await import("./worker-inspect.ts")).profile(context, names, flags));
  const logLevel = leaf(worker, "log-level", "log more, or less, from now on")
    .argument("<args...>", "ids or names of workers, then the level: trace,\ndebug, info, warn, error, fatal or silent")
    .option("--all", "all that run")
    .addHelpText("after", examples("millrace worker log-level h4k2 debug", "millrace worker log-level info --all"));
  does(logLevel, run, async (context, words: string[], flags: WorkersFlags) => (await import("./worker-control.ts")).logLevel(context, words, flags));
  const debug = leaf(worker, "debug", "have worker dump tell where tasks wait, from now on")
    .argument("<words...>", "ids or names of workers, then on or off")
    .option("--all", "all that run")
    .addHelpText("after", examples("millrace worker debug h4k2 on", "millrace worker dump h4k2", "millrace worker debug off --all"));
  does(debug, run, async (context, words: string[], flags: WorkersFlags) => (await import("./worker-control.ts")).debug(context, words, flags));
}

function some(command: Command): Command {
  return command.argument("[workers...]", "ids or their beginnings, names, or host:pid").option("--all", "all that run");
}
