/** `queue …` */
import type { Command } from "commander";
import { byDefault, does, examples, leaf, noun, type Run } from "./commands.ts";
import { declareJoin } from "./join-command.ts";

export function queueCommands(parent: Command, run: Run): void {
  const queue = noun(parent, "queue", "What jobs wait in.").alias("queues");
  const list = leaf(queue, "list", "every queue, and how many jobs of each state it holds").addHelpText("after", examples("millrace queue list", "millrace queues --json | jq .queue"));
  does(list, run, async (context) => (await import("./queue.ts")).list(context));
  byDefault(queue, list);
  declareJoin(leaf(queue, "join", "wait until nothing put is unfinished"), run);
}
