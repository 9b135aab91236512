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
  return { bash, zsh, fish }[shell](places);
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

/** Names of arguments that are files. */
const FILES = /^(file|dir|paths|args)$/;

function takesFiles({ command }: Place): boolean {
  return command.registeredArguments.some((argument) => FILES.test(argument.name()));
}

interface Word {
  readonly word: string;
  readonly description: string;
  /** An option with a value. */
  readonly takes: boolean;
}

function commandsOf({ command }: Place): Word[] {
  return command.commands.map((one) => ({ word: one.name(), description: one.summary() || one.description(), takes: false }));
}

function optionsOf({ command }: Place): Word[] {
  const options = command.options.flatMap(({ long, description, required }) => (long ? [{ word: long, description, takes: required }] : []));
  return [...options, { word: "--help", description: "print this help", takes: false }];
}

/** Where the words so far have led to; then what may follow there: options after a dash, else commands, else files. */
function bash(places: readonly Place[]): string {
  const words = (found: readonly Word[]): string => found.map(({ word }) => word).join(" ");
  return `_millrace() {
  local at="" commands="" options="" current="\${COMP_WORDS[COMP_CWORD]}" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
      ${alternatives(places)}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at" in
${cases(places, (place) => `commands="${words(commandsOf(place))}" options="${words(optionsOf(place))}"`)}
  esac
  case "$current" in -*) commands="$options" ;; esac
  COMPREPLY=($(compgen -W "$commands" -- "$current"))
}
complete -o default -F _millrace millrace`;
}

/** Sourced, or as a file `_millrace` in a folder of fpath, where it is called when it is first needed. */
function zsh(places: readonly Place[]): string {
  const words = (found: readonly Word[]): string => found.map(({ word, description }) => `'${word}:${quoted(description)}'`).join(" ");
  return `#compdef millrace
_millrace() {
  local at="" files="" i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    case "\${at:+$at }\${words[i]}" in
      ${alternatives(places)}) at="\${at:+$at }\${words[i]}" ;;
    esac
  done
  case "$at" in
${cases(places, (place) => `commands=(${words(commandsOf(place))}) options=(${words(optionsOf(place))})${takesFiles(place) ? " files=yes" : ""}`)}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe -o option options
  elif (( \${#commands} )); then _describe command commands
  elif [[ -n "$files" || "\${words[CURRENT-1]}" == -* ]]; then _files
  fi
}
if [[ "\${funcstack[1]}" == _millrace ]]; then _millrace "$@"
else
  (( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit -i }
  compdef _millrace millrace
fi`;
}

function fish(places: readonly Place[]): string {
  const rules = (place: Place): string =>
    [
      ...commandsOf(place).map(({ word, description }) => `-f -a ${word} -d '${quoted(description)}'`),
      ...optionsOf(place).map(({ word, description, takes }) => `-l ${word.slice(2)}${takes ? " -r" : ""} -d '${quoted(description)}'`),
      ...(takesFiles(place) ? [] : ["-f"]),
    ].join("\n");
  const lines = alike(places, rules).flatMap(([rule, some]) => rule.split("\n").map((each) => `complete -c millrace -n '__millrace_at ${quotedPaths(some, " ")}' ${each}`));
  return `function __millrace_at
  set -l at ""
  for word in (commandline -opc)[2..-1]
    set -l next (string trim "$at $word")
    contains -- $next ${alternatives(places, " ")}; and set at $next
  end
  contains -- "$at" $argv
end
${lines.join("\n")}`;
}

/** Places where the same may follow: under `admin`, and below a plural, it is what it is elsewhere. */
function alike(places: readonly Place[], told: (place: Place) => string): [told: string, places: readonly Place[]][] {
  return [...Map.groupBy(places, told)];
}

function cases(places: readonly Place[], told: (place: Place) => string): string {
  return alike(places, told).map(([text, some]) => `    ${quotedPaths(some)}) ${text} ;;`).join("\n");
}

function quotedPaths(places: readonly Place[], between = "|"): string {
  return places.map(({ path }) => `"${path}"`).join(between);
}

/** Every command, as it is typed. */
function alternatives(places: readonly Place[], between = "|"): string {
  return quotedPaths(places.filter(({ path }) => path !== ""), between);
}

function quoted(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("'", "’").replaceAll("\\", "");
}

/** The program that a command belongs to. */
export function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
