/** Completion for shells: a script that knows every command and its options, made from their declarations. */
import type { Command } from "commander";
import { OptionError } from "../errors.ts";
import { check } from "../options.ts";
import { commandsBelow } from "./commands.ts";
import type { Context } from "./context.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Prints the script. @throws OptionError */
export async function completion({ output }: Context, program: Command, shell: string): Promise<void> {
  const script = completionScript(program, check.oneOf(...SHELLS)(shell, "the shell"));
  await output.result(script, { shell, script });
}

export function completionScript(program: Command, shell: (typeof SHELLS)[number]): string {
  const places = [program, ...commandsBelow(program)].flatMap((command) => namesOf(command).map((path) => ({ path, command })));
  for (const { path } of places) if (/[^\w -]/.test(path)) throw new OptionError(`expected the names of commands to be words, got ${path}`); // they stand in a script
  if (shell === "fish") return fish(places);
  const loaded = shell === "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  return `${loaded}${bash(places)}`;
}

interface Place {
  readonly path: string;
  readonly command: Command;
}

/** `queue list`, and `queues list`, which is the same. */
function namesOf(command: Command): string[] {
  const aliases = command.parent === null ? [] : [command.name(), ...command.aliases()];
  if (command.parent === null) return [""];
  return namesOf(command.parent).flatMap((above) => aliases.map((name) => (above === "" ? name : `${above} ${name}`)));
}

function wordsOf({ command }: Place): string[] {
  const options = command.options.flatMap(({ long }) => (long ? [long] : []));
  return [...command.commands.map((one) => one.name()), ...options, "--help"];
}

/** Where the words so far have led to; then what may follow there. */
function bash(places: readonly Place[]): string {
  const known = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  const cases = places.map((place) => `    "${place.path}") words="${wordsOf(place).join(" ")}" ;;`);
  return `_millrace() {
  local at="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
      ${known.join("|")}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _millrace millrace`;
}

function fish(places: readonly Place[]): string {
  const known = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  const lines = places.flatMap(({ path, command }) => [
    ...command.commands.map((one) => `complete -c millrace -f -n '__millrace_at "${path}"' -a ${one.name()} -d '${quoted(one.summary() || one.description())}'`),
    ...command.options.flatMap(({ long, description, required }) => (long ? [`complete -c millrace -n '__millrace_at "${path}"' -l ${long.slice(2)}${required ? " -r" : ""} -d '${quoted(description)}'`] : [])),
  ]);
  return `function __millrace_at
  set -l at ""
  for word in (commandline -opc)[2..-1]
    set -l next (string trim "$at $word")
    contains -- $next ${known.join(" ")}; and set at $next
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}`;
}

function quoted(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(/['\\]/g, "");
}

/** The program that a command belongs to. */
export function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
