/** `job put`, and `put` for short. */
import type { Command } from "commander";
import { does, examples, type Run } from "./commands.ts";
import type { PutFlags } from "./put.ts";

export function declarePut(command: Command, run: Run): void {
  command
    .argument("[job]", "the job's name, of a contract in producers/jobs/*")
    .argument("[json]", "its payload, or - for one a line from standard\ninput (default: none)")
    .option("--wait", "wait for the jobs to end; print their results")
    .option("--timeout <time>", "of --wait (default: none)")
    .option("--id <id>", "the job's id; one that exists is not put again")
    .option("--partition-key <key>", "in a queue with partitions: jobs of one key go to\none of them")
    .option("--delay <time>", "may not run before, such as 90s or 1h")
    .option("--priority <n>", "1 is first; 0, the default, goes before all of them")
    .option("--attempts <n>", "how often it is tried in all")
    .option("--unchecked", "without a contract: give --queue and --name, not [job]")
    .option("--queue <queue>", "with --unchecked")
    .option("--name <name>", "with --unchecked")
    .addHelpText("after", examples(`millrace put digest '{"path":"/etc/hosts"}' --wait`, "jq -c '.[]' orders.json | millrace put order -", `millrace put --queue emails --name welcome --unchecked '{"to":"a@b.ch"}'`));
  does(command, run, async (context, name: string | undefined, json: string | undefined, flags: PutFlags) => (await import("./put.ts")).put(context, name, json, flags));
}
