/** Runs one command line: settings, the command, its exit code. */
import { Command, CommanderError } from "commander";
import { packageVersion } from "../control/version.ts";
import { OptionError } from "../errors.ts";
import { commandLine } from "./command-line.ts";
import { WIDTH, type Run } from "./commands.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import { Output } from "./output.ts";
import { suggestion } from "./suggestion.ts";

/** @param argv  without `node` and the program. Ends the process. */
export async function main(argv: readonly string[]): Promise<never> {
  // Until the flags are known: a command line that cannot be read may still have asked for JSON.
  let output = new Output({ json: argv.includes("--json") });
  let code: number = EXIT.done;
  // Whoever reads may leave at any time (`| head`); a command hears of it through its signal.
  let brokenPipe = (): void => void (code = 141);
  process.stdout.on("error", () => brokenPipe());
  process.stderr.on("error", () => undefined);

  const run: Run = async (flags, body) => {
    const [{ loadConfig }, { createLog }, { Interruption }, { loadModule }, { logWarnings }, { serveTasks }] = await Promise.all([
      import("../config.ts"),
      import("../log.ts"),
      import("./interruption.ts"),
      import("./load-module.ts"),
      import("./log-warnings.ts"),
      import("../concurrency/task-server.ts"),
    ]);
    serveTasks();
    const { worker, paths, redis, prefix, logLevel, readOnly, json = false } = flags;
    const config = await loadConfig({ flags: { redis, prefix, logLevel, readOnly: readOnly === true ? "true" : undefined, ...worker, workers: paths }, load: loadModule });
    output = new Output({ json, stacks: config.logLevel === "debug" || config.logLevel === "trace" });
    for (const warning of config.warnings) output.warning(warning);
    const log = createLog({ level: config.logLevel });
    logWarnings(log);
    using interruption = new Interruption();
    brokenPipe = () => interruption.brokenPipe();
    try {
      code = (await body({ config, log, output, interruption })) ?? interruption.exitCode ?? EXIT.done;
    } catch (error) {
      if (interruption.exitCode === undefined) throw error;
      code = interruption.exitCode;
      if (!isInterruption(error, interruption.signal)) output.error(error);
    }
  };

  const program = commandLine(quiet(new Command("millrace"), argv), packageVersion(), run, argv);
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    code = report(error, output, program, argv);
  }
  // What the user's modules left open (a pool of database connections, a timer) must not hold the command.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.write("", () => done()))));
  process.exit(code);
}

/** Its errors are ours to print; its help goes to standard error when it was not asked for. */
function quiet(program: Command, argv: readonly string[]): Command {
  return program.exitOverride().configureOutput({
    outputError: () => undefined,
    writeErr: (text) => void (argv.includes("--json") || process.stderr.write(text)),
    getOutHelpWidth: () => WIDTH,
    getErrHelpWidth: () => WIDTH,
  });
}

function report(error: unknown, output: Output, program: Command, argv: readonly string[]): number {
  if (!(error instanceof CommanderError)) {
    output.error(error);
    return exitCodeOf(error);
  }
  if (error.code === "commander.help") {
    if (output.json) output.error(new OptionError(`expected a command: ${suggestion(program, argv, "")}`));
    return EXIT.usage;
  }
  if (error.exitCode === 0) return EXIT.done;
  output.error(new OptionError(`${error.message.replace(/^error: |\.$/g, "")}: ${suggestion(program, argv, error.message)}`));
  return EXIT.usage;
}

function isInterruption(error: unknown, signal: AbortSignal): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return error === signal.reason || name === "AbortError" || code === "CANCELLED";
}
