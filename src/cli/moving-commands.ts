/** `queue export`, `import`, `move` */
import type { Command } from "commander";
import { confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import type { MoveFlags } from "./moving.ts";

export function movingCommands(parent: Command, run: Run): void {
  const queue = noun(parent, "queue", "What jobs wait in.");
  const out = leaf(queue, "export", "write it out, a line of JSON a job, in any state")
    .argument("<queue>", "a queue's name")
    .option("--unmasked", "with what contracts redact, to be imported; the trail\ntells of it")
    .addHelpText("after", examples("millrace queue export mail > mail.ndjson", "millrace queue export mail | gzip > mail.ndjson.gz"));
  does(out, run, async (context, name: string, flags: { unmasked?: true }) => (await import("./queue-export.ts")).exportTo(context, name, flags));
  const into = leaf(queue, "import", "read in what export wrote; a job that is there is left")
    .argument("<queue>", "a queue's name; it need not exist")
    .argument("[file]", "what export wrote (default: standard input)")
    .addHelpText("after", examples("millrace queue import mail mail.ndjson", "millrace queue export mail | millrace --redis redis://other queue import mail"));
  does(into, run, async (context, name: string, file: string | undefined) => (await import("./moving.ts")).importFrom(context, name, file));
  const move = confirmed(leaf(queue, "move", "move it to another name, prefix or server; again, it goes on").argument("<queue>", "a queue's name"))
    .option("--to <queue>", "its new name (default: the same)")
    .option("--to-redis <url>", "its new server (default: the same)")
    .option("--to-prefix <text>", "its new prefix (default: the same)")
    .option("--give-back", "instead: of a move whose target is lost for good, puts\nback what is on its way, and forgets it")
    .addHelpText("after", examples("millrace queue move mail --to post", "millrace queue move mail --to-redis redis://new.example --yes", "millrace queue move mail --give-back"));
  does(move, run, async (context, name: string, flags: MoveFlags) => (await import("./moving.ts"))[flags.giveBack === true ? "giveBack" : "move"](context, name, flags));
}
