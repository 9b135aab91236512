/** `schedule …` */
import type { Command } from "commander";
import { byDefault, confirmed, does, examples, leaf, noun, type Run } from "./commands.ts";
import type { ConfirmFlags } from "./confirm.ts";
import type { ScheduleFlags } from "./schedule.ts";

export function scheduleCommands(parent: Command, run: Run): void {
  const schedule = noun(parent, "schedule", "What puts jobs by the clock: BullMQ's job schedulers.").alias("schedules");
  const list = leaf(schedule, "list", "schedules, what is due next first").argument("[queue]", "a queue's name (default: all queues)");
  does(list, run, async (context, queue: string | undefined) => (await import("./schedule.ts")).list(context, queue));
  byDefault(schedule, list);
  const put = ofSchedule(leaf(schedule, "put", "make a schedule, or change it as a whole"))
    .option("--cron <pattern>", "five fields, or six with seconds; or --every")
    .option("--every <time>", "so often, such as 30s or 1h; or --cron")
    .option("--tz <zone>", "of the pattern, such as Europe/Zurich")
    .option("--name <name>", "of the jobs (default: the schedule's id)")
    .option("--payload <json>", "of the jobs; no contract is asked (default: {})")
    .option("--attempts <n>", "how often each job is tried in all")
    .addHelpText("after", examples("millrace schedule put mail digest --cron '0 7 * * *' --tz Europe/Zurich", `millrace schedule put files sweep --every 1h --payload '{"dir":"/tmp"}'`));
  does(put, run, async (context, queue: string, id: string, flags: ScheduleFlags) => (await import("./schedule.ts")).put(context, queue, id, flags));
  const pause = ofSchedule(leaf(schedule, "pause", "put nothing more by it; its next job is taken back"));
  does(pause, run, async (context, queue: string, id: string) => (await import("./schedule.ts")).pause(context, queue, id));
  const resume = ofSchedule(leaf(schedule, "resume", "let a paused schedule go on, from now"));
  does(resume, run, async (context, queue: string, id: string) => (await import("./schedule.ts")).resume(context, queue, id));
  const runNow = ofSchedule(leaf(schedule, "run", "put a job as it does, now; prints its id"));
  does(runNow, run, async (context, queue: string, id: string) => (await import("./schedule.ts")).run(context, queue, id));
  const remove = confirmed(ofSchedule(leaf(schedule, "remove", "remove a schedule with its next job")));
  does(remove, run, async (context, queue: string, id: string, flags: ConfirmFlags) => (await import("./schedule.ts")).remove(context, queue, id, flags));
}

function ofSchedule(command: Command): Command {
  return command.argument("<queue>", "a queue's name").argument("<id>", "the schedule's id");
}
