/**
 * Every command: its arguments, options and examples, and the module that does it.
 *
 * Those modules are loaded when their command runs, so that `millrace --help` waits for none of them.
 */
import { type Argument, type Command, Option } from "commander";
import type { Context } from "./context.ts";
import type { JoinOptions } from "./join.ts";
import type { PutFlags } from "./put.ts";
import type { DemoFlags } from "./start-demo.ts";

/** What the options of every command carry. */
export interface GlobalFlags {
  readonly redis?: string;
  readonly prefix?: string;
  readonly json?: boolean;
  readonly logLevel?: string;
}

/** Flags of `worker start`: settings too. */
export interface WorkerFlags {
  readonly concurrency?: string;
  readonly name?: string;
  readonly health?: string;
  readonly drain?: string;
  readonly grace?: string;
  readonly flush?: string;
  readonly processes?: string;
  readonly maxRss?: string;
  readonly maxJobs?: string;
  readonly maxStuck?: string;
  readonly recovery?: string;
}

/** Runs a command in its context. The body gives the exit code; none is 0. */
export type Run = (
  flags: GlobalFlags & { readonly worker?: WorkerFlags; readonly paths?: readonly string[] },
  body: (context: Context) => Promise<number | void>,
) => Promise<void>;

const EPILOGUE = `
Settings: flags go over the environment, that over millrace.config.ts.
  REDIS_URL (or REDIS_URL_FILE), MILLRACE_PREFIX, MILLRACE_LOG_LEVEL,
  MILLRACE_CONCURRENCY, MILLRACE_NAME, MILLRACE_DRAIN, MILLRACE_GRACE,
  MILLRACE_FLUSH, MILLRACE_HEALTH, MILLRACE_PROCESSES, MILLRACE_MAX_RSS,
  MILLRACE_MAX_JOBS;
  MILLRACE_DEBUG=1 tells what blocks the event loop, and where tasks wait

Exit codes: 0 done, 1 failed, 2 usage, 3 timed out, 4 a named thing does not
  exist, 5 findings, 6 Redis unreachable; 130, 143 and 141 when ended by
  Ctrl-C, SIGTERM or a closed pipe`;

/** Of help, in columns: what any terminal shows. */
export const WIDTH = 80;

/** @param program  bears the settings that all commands inherit, such as where output goes */
export function commandLine(program: Command, version: string, run: Run): Command {
  program
    .description("A producer/consumer work queue for TypeScript on Redis.")
    .usage("<command> [options]")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError(false) // ours know every command: suggestion.ts
    .configureHelp({ subcommandTerm: (command) => [pathOf(command), ...command.registeredArguments.map(termOf)].join(" "), visibleCommands: leavesOf })
    .addHelpText("after", EPILOGUE);

  leaf(program, "demo", "digest every file of a folder, and write a manifest of them")
    .argument("[dir]", "the folder (default: node_modules)")
    .option("--manifest <file>", "where to: one JSON a line, sorted by path")
    .option("--producers <n>", "walk the folder and put one job a file (default: 3)")
    .option("--consumers <n>", "pools that run the jobs (default: 2)")
    .option("--concurrency <n>", "files that one of them digests at once (default: 64)")
    .addHelpText("after", examples("millrace demo", "millrace demo ~/photos --manifest photos.ndjson"))
    .action((dir: string | undefined, flags: DemoFlags, command: Command) => run(merged(command), async (context) => (await import("./start-demo.ts")).startDemo(context, dir, flags)));

  const worker = noun(program, "worker", "Processes that run handlers.");
  const job = noun(program, "job", "One unit of work.");
  const queue = noun(program, "queue", "What jobs wait in.");
  const redis = noun(program, "redis", "A Redis of this folder's own, for development: its data is in .millrace/.");

  leaf(worker, "start", "run the handlers of workers/* until Ctrl-C or SIGTERM")
    .argument("[paths...]", "files and folders whose default exports are\nhandlers (default: workers)")
    .option("--concurrency <n>", "tasks at once (default: what the handlers ask for)")
    .option("--name <text>", "this process's name (default: host and pid)")
    .option("--health <address>", "answer GET /healthz and /readyz at a port of this host,\nat host:port, or at unix:/path (default: nowhere)")
    .option("--drain <time>", "on SIGTERM, let tasks run on so long (default: 25s)")
    .option("--grace <time>", "then cancel them, and wait so long (default: 5s)")
    .option("--flush <time>", "at the end, wait so long for Redis (default: 1s)")
    .option("--processes <n>", "so many processes under a supervisor, or auto:\none a core (default: one, without a supervisor)")
    .option("--max-rss <size>", "replace a process that holds more, such as 512mb")
    .option("--max-jobs <n>", "replace a process that has run so many jobs")
    .option("--max-stuck <n>", "replace a process in which more handlers than\nthese ignore their signal (default: 10)")
    .option("--recovery <how>", "run a dead process's jobs again within 15 s\n(normal), or 7 (fast) (default: normal)")
    .addHelpText("after", examples("millrace worker start", "millrace worker start workers/digest.ts --concurrency 100", "millrace worker start --drain 2m --grace 10s", "millrace worker start --processes auto --max-rss 512mb"))
    .action((paths: string[], flags: GlobalFlags & WorkerFlags, command: Command) => {
      const settings = paths.length === 0 ? {} : { paths };
      return run({ ...merged(command), worker: flags, ...settings }, async (context) => (await import("./start-worker.ts")).startWorker(context));
    });

  leaf(program, "produce", "run the program producers/<name>")
    .argument("<name>", "producers/<name>.ts or .js, of this folder or shipped")
    .argument("[args...]", "handed to the program as they are")
    .passThroughOptions()
    .addHelpText("after", examples("millrace produce files ./photos", "millrace --redis redis://localhost produce files ./photos", "millrace produce lines --job webhook hooks.csv"))
    .action((name: string, args: string[], _: object, command: Command) => run(merged(command), async (context) => (await import("./produce.ts")).produce(context, name, args)));

  for (const put of [leaf(job, "put", "put one job, or one a line from standard input"), leaf(program, "put", "the same as job put")]) {
    put
      .argument("[job]", "the job's name, of a contract in producers/jobs/*")
      .argument("[json]", "its payload, or - for one a line from standard\ninput (default: none)")
      .option("--wait", "wait for the jobs to end; print their results")
      .option("--timeout <time>", "of --wait (default: none)")
      .option("--id <id>", "the job's id; one that exists is not put again")
      .option("--delay <time>", "may not run before, such as 90s or 1h")
      .option("--priority <n>", "1 is first; 0, the default, goes before all of them")
      .option("--attempts <n>", "how often it is tried in all")
      .option("--unchecked", "without a contract: give --queue and --name, not [job]")
      .option("--queue <queue>", "with --unchecked")
      .option("--name <name>", "with --unchecked")
      .addHelpText("after", examples(`millrace put digest '{"path":"/etc/hosts"}' --wait`, "jq -c '.[]' orders.json | millrace put order -", `millrace put --queue emails --name welcome --unchecked '{"to":"a@b.ch"}'`))
      .action((name: string | undefined, json: string | undefined, flags: PutFlags, command: Command) =>
        run(merged(command), async (context) => (await import("./put.ts")).put(context, name, json, flags)),
      );
  }

  for (const join of [leaf(queue, "join", "wait until nothing put is unfinished"), leaf(program, "join", "the same as queue join")]) {
    join
      .argument("<queue>", "a queue's name")
      .option("--timeout <time>", "then exit with 3 (default: none)")
      .addHelpText("after", examples("millrace join digest", "millrace join digest --timeout 10m && echo done"))
      .action((name: string, flags: JoinOptions, command: Command) => run(merged(command), async (context) => (await import("./join.ts")).join(context, name, flags)));
  }

  leaf(program, "tasks", "what a running process is doing, as a tree of tasks")
    .requiredOption("--pid <pid>", "of a millrace command, or of a program of run()")
    .addHelpText("after", examples("millrace tasks --pid 4711", "millrace tasks --pid 4711 --json | jq '.tasks[].name'"))
    .action((flags: { pid: string }, command: Command) => run(merged(command), async (context) => (await import("./tasks.ts")).tasks(context, flags)));

  leaf(redis, "start", "start it, and let it run until redis stop").action((_: object, command: Command) => run(merged(command), async (context) => (await import("./redis.ts")).start(context)));
  leaf(redis, "stop", "stop it; the data stays")
    .option("--force", "although it is in use")
    .action((flags: { force?: boolean }, command: Command) => run(merged(command), async (context) => (await import("./redis.ts")).stop(context, flags)));
  leaf(redis, "status", "whether it runs, where, and who uses it").action((_: object, command: Command) => run(merged(command), async (context) => (await import("./redis.ts")).status(context)));
  leaf(redis, "url", "its address, for REDIS_URL")
    .addHelpText("after", examples('REDIS_URL="$(millrace redis url)" node server.js'))
    .action((_: object, command: Command) => run(merged(command), async (context) => (await import("./redis.ts")).url(context)));
  leaf(redis, "ensure", "see that redis-server is on this machine").action((_: object, command: Command) => run(merged(command), async (context) => (await import("./redis.ts")).ensure(context)));
  // Last, so that a command's own options are listed first.
  for (const command of new Set([program, ...program.commands, ...leavesOf(program)])) withGlobals(command, [worker, job, queue, redis].includes(command));
  return program;
}

/** "worker start": a command as it is typed, without `millrace`. */
export function pathOf(command: Command): string {
  const path: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) path.unshift(at.name());
  return path.join(" ");
}

/** The commands that do something, below this one. */
export function leavesOf(command: Command): Command[] {
  return command.commands.flatMap((one) => (one.commands.length === 0 ? [one] : leavesOf(one)));
}

function noun(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).usage("<command> [options]");
}

function leaf(parent: Command, name: string, summary: string): Command {
  return parent.command(name).summary(summary).description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`);
}

function withGlobals(command: Command, hidden: boolean): void {
  const globals = [
    new Option("--redis <url>", "redis://…, rediss://…, unix:… or embedded"),
    new Option("--prefix <text>", "before every key in Redis (default: bull)"),
    new Option("--json", "results and errors as JSON, one a line"),
    new Option("--log-level <level>", "debug, info, warn, error or silent (default: info)"),
  ];
  for (const option of globals) command.addOption(option.helpGroup("Everywhere:").hideHelp(hidden));
}

/** The flags that stand everywhere may come before the command or after it; after it is nearer. */
function merged(command: Command): GlobalFlags {
  const flags: GlobalFlags = {};
  for (const { redis, prefix, json, logLevel } of [command.parent?.parent, command.parent, command].map((one) => (one?.opts() ?? {}) as GlobalFlags)) {
    Object.assign(flags, redis && { redis }, prefix && { prefix }, json && { json }, logLevel && { logLevel });
  }
  return flags;
}

function termOf(argument: Argument): string {
  const term = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${term}>` : `[${term}]`;
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

