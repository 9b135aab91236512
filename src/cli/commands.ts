/** How commands are declared: nouns, their verbs, and the flags that stand everywhere. */
import { CommanderError, Option, type Command } from "commander";
import { asTyped } from "./as-typed.ts";
import type { Context } from "./context.ts";

/** What the options of every command carry. */
export interface GlobalFlags {
  readonly redis?: string;
  readonly prefix?: string;
  readonly json?: boolean;
  readonly logLevel?: string;
  readonly readOnly?: boolean;
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

/** Of help, in columns: what any terminal shows. */
export const WIDTH = 80;

/** A subject, whose commands are its verbs. One that is there already is given. */
export function noun(parent: Command, name: string, description: string): Command {
  return parent.commands.find((one) => one.name() === name) ?? parent.command(name).description(description).usage("<command> [options]");
}

/** A command that does something. What it does not take it refuses, whatever its noun takes for the verb that it does by default. */
export function leaf(parent: Command, name: string, summary: string): Command {
  return parent.command(name).allowExcessArguments(false).summary(summary).description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`);
}

/** Adds the flags of what asks before it destroys: see confirm.ts. */
export function confirmed(command: Command): Command {
  return command.option("--yes", "do not ask; needed where there is no terminal").option("--dry-run", "say what would be done, and do nothing");
}

/** What a command does. `given`: its arguments, then its flags. The result is its exit code; none is 0. */
// oxlint-disable-next-line typescript/no-explicit-any -- commander hands over what the command declared
export type Body = (context: Context, ...given: any[]) => Promise<number | void>;

/** Runs `body` when the command is called; what it needs is loaded in there, so that help waits for none of it. */
export function does(command: Command, run: Run, body: Body): Command {
  return command.action((...given: unknown[]) => run(merged(command), async (context) => {
    try {
      return await body(context, ...given.slice(0, -1));
    } catch (error) {
      throw asTyped(error, command);
    }
  }));
}

/**
 * The bare noun does what this verb of it does.
 *
 * @param argsOf  what the verb is given, of the options that the noun takes for it
 */
// oxlint-disable-next-line typescript/no-explicit-any -- commander hands over what the command declared
export function byDefault(noun: Command, verb: Command, argsOf: (flags: any) => readonly string[] = () => []): void {
  noun.allowExcessArguments().action(async () => {
    const [word] = noun.args;
    if (word !== undefined) throw new CommanderError(1, "commander.unknownCommand", `error: unknown command '${word}'`);
    await verb.parseAsync(argsOf(noun.opts()), { from: "user" });
  });
}

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** @param hidden  they are taken, and not told of: by a noun, whose verbs tell of them */
export function withGlobals(command: Command, hidden: boolean): void {
  const globals = [
    new Option("--redis <url>", "redis://…, rediss://…, unix:… or embedded"),
    new Option("--prefix <text>", "before every key in Redis (default: bull)"),
    new Option("--json", "results and errors as JSON, one a line"),
    new Option("--log-level <level>", "debug, info, warn, error or silent (default: info)"),
  ];
  for (const option of globals) command.addOption(option.helpGroup("Everywhere:").hideHelp(hidden));
}

const GLOBALS: ReadonlySet<string> = new Set(["redis", "prefix", "json", "logLevel", "readOnly"]);

/** The flags that stand everywhere may come before the command or after it; after it is nearer. */
export function merged(command: Command): GlobalFlags {
  const flags: Record<string, unknown> = {};
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const [name, value] of Object.entries(at.opts())) if (GLOBALS.has(name) && value) flags[name] ??= value;
  }
  // Typed before a command that does not know it, it would be passed over in silence.
  if (flags["readOnly"] === true && !command.options.some(({ long }) => long === "--read-only")) throw new CommanderError(1, "commander.unknownOption", `error: --read-only does not go with ${pathOf(command)}`);
  return flags;
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

/** Those, and the nouns on the way. */
export function commandsBelow(command: Command): Command[] {
  return command.commands.flatMap((one) => [one, ...commandsBelow(one)]);
}
