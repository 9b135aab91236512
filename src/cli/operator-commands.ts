/** What operators do, noun by noun: the same commands at the top and below `millrace admin`. */
import { Option, type Command } from "commander";
import { leavesOf, type Run } from "./commands.ts";
import { deadCommands } from "./dead-commands.ts";
import { flowCommands } from "./flow-commands.ts";
import { healthCommands } from "./health-commands.ts";
import { jobCommands } from "./job-commands.ts";
import { limitCommands } from "./limit-commands.ts";
import { movingCommands } from "./moving-commands.ts";
import { queueCommands } from "./queue-commands.ts";
import { scheduleCommands } from "./schedule-commands.ts";
import { settingsCommands } from "./settings-commands.ts";
import { taskCommands } from "./task-commands.ts";
import { trailCommands } from "./trail-commands.ts";
import { workerCommands } from "./worker-commands.ts";

const AREAS = [
  queueCommands,
  movingCommands,
  jobCommands,
  deadCommands,
  scheduleCommands,
  flowCommands,
  workerCommands,
  taskCommands,
  limitCommands,
  healthCommands,
  trailCommands,
  settingsCommands,
];

/**
 * @param parent  the program, or `admin`
 * @returns what was declared
 */
export function operatorCommands(parent: Command, run: Run): ReadonlySet<Command> {
  const before = new Set(leavesOf(parent));
  for (const declare of AREAS) declare(parent, run);
  const declared = new Set(leavesOf(parent).filter((command) => !before.has(command)));
  for (const command of declared) command.addOption(readOnly());
  return declared;
}

/** For a connection that is to look only; it goes with any of these. */
export function readOnly(): Option {
  return new Option("--read-only", "refuse whatever changes anything").helpGroup("Everywhere:");
}
