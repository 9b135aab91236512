/** `config` and `completion` */
import type { Command } from "commander";
import { does, examples, leaf, type Run } from "./commands.ts";

export function settingsCommands(parent: Command, run: Run): void {
  const config = leaf(parent, "config", "every setting, its value, and where that comes from");
  does(config, run, async (context) => (await import("./settings.ts")).config(context));
  const completion = leaf(parent, "completion", "a script for your shell that completes commands and options")
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText("after", examples("source <(millrace completion bash)  # or zsh", "millrace completion fish > ~/.config/fish/completions/millrace.fish"));
  does(completion, run, async (context, shell: string) => {
    const { completion: print, rootOf } = await import("./completion.ts");
    await print(context, rootOf(completion), shell);
  });
}
