/**
 * What one line of an export holds, as JSON: first the queue, then its schedules, its jobs, and at last how many they were.
 * Fields are those of BullMQ's hashes, untouched but for what contracts redact.
 */
import { z } from "zod";
import { OptionError } from "../errors.ts";
import { checkId } from "../job/name.ts";
import { MOST_PARTITIONS } from "../job/queue-def.ts";
import { JOB_STATES } from "../job/state.ts";
import { shown } from "../options.ts";

const fields = z.record(z.string(), z.string());
const instant = z.number().nonnegative();
/** Something in it is `***`: it cannot be read in again. */
const masked = z.literal(true).optional();

const line = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("queue"),
    format: z.literal(1),
    queue: z.string(),
    at: instant,
    /** Of the whole. */
    settings: fields,
    /** Of a queue in partitions: of the plain one, and of each. */
    shares: z.array(fields).min(3).max(MOST_PARTITIONS + 1).readonly().optional(),
    redact: z.record(z.string(), z.array(z.string()).readonly()).optional(),
    masked,
  }),
  z.object({ kind: z.literal("schedule"), schedule: z.string().min(1), at: instant.nullable(), fields, masked }),
  z.object({
    kind: z.literal("job"),
    id: z.string().min(1),
    state: z.enum(JOB_STATES),
    score: z.number(),
    fields: fields.refine((hash) => hash["name"] !== undefined, "expected a name among the fields"),
    logs: z.array(z.string()).readonly(),
    deduplicationMs: z.number().min(-1),
    children: z.object({ pending: z.array(z.string()).readonly(), processed: fields, failed: fields, unsuccessful: z.record(z.string(), z.number()) }),
    masked,
  }),
  z.object({ kind: z.literal("end"), jobs: z.int().nonnegative(), schedules: z.int().nonnegative() }),
]);

export type ExportLine = z.infer<typeof line>;

/** @throws OptionError naming the line */
export function readLine(text: string, number: number): ExportLine {
  const where = `line ${number} of an export`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OptionError(`expected JSON for ${where}, got ${shown(text.slice(0, 60))}`, { cause });
  }
  const read = line.safeParse(value);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new OptionError(`expected ${where} as millrace queue export writes it: ${issue?.path.join(".") || "it"}: ${issue?.message}`);
  }
  if (read.data.kind === "job") checkKey(read.data.id, where);
  return read.data;
}

/** Ids that BullMQ counts, and those of runs of schedules, are as good as ours; what is a key of a queue is none. */
function checkKey(id: string, where: string): void {
  if (/^\d+$/.test(id) || /^repeat:.+:\d+$/.test(id)) return;
  try {
    checkId(id);
  } catch (cause) {
    throw new OptionError(`expected the id of a job in ${where}, got ${shown(id)}`, { cause });
  }
}
