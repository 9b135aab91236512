/**
 * Every command: its arguments, options and examples, and the module that does it.
 *
 * Those modules are loaded when their command runs, so that `millrace --help` waits for none of them.
 */
import type { Argument, Command } from "commander";
import { commandsBelow, does, examples, leaf, leavesOf, merged, noun, pathOf, withGlobals, type GlobalFlags, type Run, type WorkerFlags } from "./commands.ts";
import { declareJoin } from "./join-command.ts";
import { operatorCommands, readOnly } from "./operator-commands.ts";
import { declarePut } from "./put-command.ts";
import type { DemoFlags } from "./start-demo.ts";

const EPILOGUE = `
Settings: flags go over the environment, that over millrace.config.ts.
  REDIS_URL (or REDIS_URL_FILE), MILLRACE_PREFIX, MILLRACE_LOG_LEVEL,
  MILLRACE_CONCURRENCY, MILLRACE_NAME, MILLRACE_DRAIN, MILLRACE_GRACE,
  MILLRACE_FLUSH, MILLRACE_HEALTH, MILLRACE_PROCESSES, MILLRACE_MAX_RSS,
  MILLRACE_MAX_JOBS, MILLRACE_MAX_STUCK, MILLRACE_RECOVERY,
  MILLRACE_READ_ONLY, MILLRACE_WHO;
  MILLRACE_DEBUG=1 tells what blocks the event loop, and where tasks wait

Exit codes: 0 done, 1 failed, 2 usage, 3 timed out, 4 a named thing does not
  exist, 5 findings, 6 Redis unreachable; 130, 143 and 141 when ended by
  Ctrl-C, SIGTERM or a closed pipe`;

const SIGNALS = `
Signals: SIGTERM and Ctrl-C stop it, a second one at once; SIGTSTP (Ctrl-Z)
  makes it quiet, SIGCONT lets it go on; SIGUSR2 writes what it is doing
  into its log.`;

/**
 * @param program  bears the settings that all commands inherit, such as where output goes
 * @param argv     what was typed: where it begins with a command, those below `admin`, which are the same, are not declared again
 */
export function commandLine(program: Command, version: string, run: Run, argv: readonly string[] = []): Command {
  let operators: ReadonlySet<Command> = new Set();
  // Those who run jobs are shown what runs them; what operators do has a help of its own.
  const visible = (command: Command): Command[] =>
    command === program ? [...leavesOf(program).filter((one) => !operators.has(one) && !pathOf(one).startsWith("admin ")), admin] : leavesOf(command);
  program
    .description("A producer/consumer work queue for TypeScript on Redis.")
    .usage("<command> [options]")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError(false) // ours know every command: suggestion.ts
    .configureHelp({ subcommandTerm: (command) => [pathOf(command), ...command.registeredArguments.map(termOf)].join(" "), visibleCommands: visible })
    .addHelpText("after", EPILOGUE);

  const demo = leaf(program, "demo", "digest every file of a folder, and write a manifest of them")
    .argument("[dir]", "the folder (default: node_modules)")
    .option("--manifest <file>", "where to: one JSON a line, sorted by path")
    .option("--producers <n>", "walk the folder and put one job a file (default: 3)")
    .option("--consumers <n>", "pools that run the jobs (default: 2)")
    .option("--concurrency <n>", "files that one of them digests at once (default: 64)")
    .addHelpText("after", examples("millrace demo", "millrace demo ~/photos --manifest photos.ndjson"));
  does(demo, run, async (context, dir: string | undefined, flags: DemoFlags) => (await import("./start-demo.ts")).startDemo(context, dir, flags));

  const worker = noun(program, "worker", "Processes that run handlers.");
  const redis = noun(program, "redis", "A Redis of this folder's own, for development: its data is in .millrace/.");

  leaf(worker, "start", "run the handlers of workers/* until Ctrl-C or SIGTERM")
    .argument("[paths...]", "files and folders whose default exports are\nhandlers (default: workers)")
    .option("--concurrency <n>", "tasks at once (default: what the handlers ask for)")
    .option("--name <text>", "this process's name (default: host and pid)")
    .option("--health <address>", "answer GET /healthz, /readyz and /metrics at a port of this host,\nat host:port, or at unix:/path (default: nowhere)")
    .option("--drain <time>", "on SIGTERM, let tasks run on so long (default: 25s)")
    .option("--grace <time>", "then cancel them, and wait so long (default: 5s)")
    .option("--flush <time>", "at the end, wait so long for Redis (default: 1s)")
    .option("--processes <n>", "so many processes under a supervisor, or auto:\none a core (default: one, without a supervisor)")
    .option("--max-rss <size>", "replace a process that holds more, such as 512mb")
    .option("--max-jobs <n>", "replace a process that has run so many jobs")
    .option("--max-stuck <n>", "replace a process in which more handlers than\nthese ignore their signal (default: 10)")
    .option("--recovery <how>", "run a dead process's jobs again within 15 s\n(normal), or 7 (fast) (default: normal)")
    .addHelpText("after", SIGNALS)
    .addHelpText("after", examples("millrace worker start", "millrace worker start workers/digest.ts --concurrency 100", "millrace worker start --drain 2m --grace 10s", "millrace worker start --processes auto --max-rss 512mb"))
    .action((paths: string[], flags: GlobalFlags & WorkerFlags, command: Command) => {
      const settings = paths.length === 0 ? {} : { paths };
      return run({ ...merged(command), worker: flags, ...settings }, async (context) => (await import("./start-worker.ts")).startWorker(context));
    });

  const produce = leaf(program, "produce", "run the program producers/<name>")
    .argument("<name>", "producers/<name>.ts or .js, of this folder or shipped")
    .argument("[args...]", "handed to the program as they are")
    .passThroughOptions()
    .addHelpText("after", examples("millrace produce files ./photos", "millrace --redis redis://localhost produce files ./photos", "millrace produce lines --job webhook hooks.csv"));
  does(produce, run, async (context, name: string, args: string[]) => (await import("./produce.ts")).produce(context, name, args));

  declarePut(leaf(program, "put", "the same as job put"), run);
  declareJoin(leaf(program, "join", "the same as queue join"), run);

  does(leaf(redis, "start", "start it, and let it run until redis stop"), run, async (context) => (await import("./redis.ts")).start(context));
  const stop = leaf(redis, "stop", "stop it; the data stays").option("--force", "although it is in use");
  does(stop, run, async (context, flags: { force?: boolean }) => (await import("./redis.ts")).stop(context, flags));
  does(leaf(redis, "status", "whether it runs, where, and who uses it"), run, async (context) => (await import("./redis.ts")).status(context));
  const url = leaf(redis, "url", "its address, for REDIS_URL").addHelpText("after", examples('REDIS_URL="$(millrace redis url)" node server.js'));
  does(url, run, async (context) => (await import("./redis.ts")).url(context));
  does(leaf(redis, "ensure", "see that redis-server is on this machine"), run, async (context) => (await import("./redis.ts")).ensure(context));

  operators = operatorCommands(program, run);
  const admin = noun(program, "admin", "See, steer and repair a running system. Each of these goes without admin, too.").summary("see, steer and repair a running system").addOption(readOnly());
  const [typed = ""] = argv;
  if (!program.commands.some((command) => command !== admin && command.name() !== "completion" && [command.name(), ...command.aliases()].includes(typed))) operatorCommands(admin, run);
  // Last, so that a command's own options are listed first.
  withGlobals(program, false);
  for (const command of commandsBelow(program)) withGlobals(command, command.commands.length > 0);
  for (const command of [program, ...commandsBelow(program)]) if (command !== admin && leavesOf(command).some((one) => operators.has(one))) command.addOption(readOnly().hideHelp());
  return program;
}

function termOf(argument: Argument): string {
  const term = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${term}>` : `[${term}]`;
}
