/** What somebody may have meant who typed a command or an option that there is not. */
import type { Command } from "commander";
import { suggest } from "../options.ts";
import { leavesOf, pathOf } from "./commands.ts";

/** `did you mean worker start?`, or where to read on. */
export function suggestion(program: Command, argv: readonly string[], message: string): string {
  const command = commandOf(program, argv);
  const help = `see millrace ${[pathOf(command), "--help"].filter(Boolean).join(" ")}`;
  const [, kind, word = ""] = /unknown (command|option) '(.+)'/.exec(message) ?? [];
  if (kind === undefined) return help;
  const habit = kind === "command" ? HABITS[word] : undefined;
  if (habit !== undefined) return habit;
  const near = kind === "command" ? nearCommand(command, word) : suggest(word, optionsOf(command));
  return near === undefined ? help : `did you mean ${near}?`;
}

/** By what it is called in full or in part: "strat" is "worker start" where workers are the subject, "redis start" where Redis is. */
function nearCommand(within: Command, word: string): string | undefined {
  const paths = leavesOf(within).map(pathOf);
  const nouns = within.commands.filter(({ commands }) => commands.length > 0).map((noun) => noun.name());
  const names = new Map([...paths, ...nouns].map((name) => [name, name]));
  for (const path of paths) for (const part of path.split(" ")) if (!names.has(part)) names.set(part, path);
  return names.get(suggest(word, names.keys()) ?? "");
}

/** Typed from habit, where a near word would be the wrong one: nothing is done, and the right command is named. */
const HABITS: Readonly<Record<string, string>> = {
  drain: "queue purge empties a queue; worker quiet, then worker stop, let a worker finish what it runs",
  empty: "did you mean queue purge?",
  clean: "did you mean queue purge, or dead discard?",
  obliterate: "did you mean queue delete?",
  quit: "did you mean worker quiet, which only stops fetching, or worker stop?",
  kill: "did you mean worker stop, or task cancel?",
  ls: "did you mean queue list, or job list?",
};

function optionsOf(command: Command): string[] {
  return [...command.options.map((option) => option.long ?? ""), "--help"];
}

/** As far as the words name one. */
function commandOf(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next !== undefined) command = next;
    if (command.commands.length === 0) break;
  }
  return command;
}
