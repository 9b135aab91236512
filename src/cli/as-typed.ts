/** What a function says of an option, said of the flag that it was typed as: who types commands does not know their functions. */
import type { Command } from "commander";
import { OptionError } from "../errors.ts";

/** `for since of queueStats` */
const SAID_OF = /\bfor (\w+) of [\w ]+?(?=, got |:|$)/;

/** The error, naming the command's flag where it names an option of a function; another one as it is. */
export function asTyped(error: unknown, command: Command): unknown {
  if (!(error instanceof OptionError)) return error;
  const message = error.message.replace(SAID_OF, (said, name: string) => {
    const flag = command.options.find((option) => option.attributeName() === name)?.long;
    return flag ? `for ${flag}` : said;
  });
  return message === error.message ? error : new OptionError(message, { cause: error });
}
