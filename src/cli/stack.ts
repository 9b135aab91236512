/** A stack as an operator reads it: the program's own frames, without those of Node and of what ran the job. */
import { sep } from "node:path";
import { pathToFileURL } from "node:url";
import { counted } from "./quantity.ts";
import { printable } from "./table.ts";

/** This package where it runs here, by its path and by its URL; elsewhere it is known by its name. */
const OWN_PATH = import.meta.dirname.slice(0, -"cli".length);
const OWN = [OWN_PATH, pathToFileURL(OWN_PATH).href];
/** Shipped workers are somebody's program, and so are libraries that a handler calls. */
const RUNNER = /[\\/]node_modules[\\/](?:millrace[\\/](?:dist[\\/])?src|bullmq)[\\/]|\(?node:[^\s)]*:\d+:\d+\)?$/;
const FRAME = /^\s+at /;
const NATIVE = /^\s+at .*\(<anonymous>\)$/;

/** Lines for people; nothing in them reaches the terminal but text. Where every frame is a runner's, all of them stand. */
export function stackLines(stack: string): string[] {
  const lines = stack.split("\n").filter((line) => line.trim() !== "");
  const folds = lines.some(isProgram);
  const shown = lines.filter((_, at) => !folds || !isRunner(outerOf(lines, at))).map((line) => `${FRAME.test(line) ? "  " : ""}${printable(line).trim()}`);
  const folded = lines.length - shown.length;
  return folded === 0 ? shown : [...shown, `  (and ${counted(folded, "frame")} of Node, Millrace or BullMQ: --json has all)`];
}

/** The innermost frame that is no library's: `at send (workers/mail.ts:12:9)`. */
export function throwPlace(stack: string | undefined): string | undefined {
  const frames = (stack ?? "").split("\n").filter((line) => FRAME.test(line));
  const frame = frames.find((line) => isProgram(line) && !line.includes(`node_modules${sep}`)) ?? frames.find(isProgram) ?? frames[0];
  return frame?.trim().replace("file://", "").replace(`${process.cwd()}${sep}`, "");
}

/** `waits at send (workers/mail.ts:12:9)`, of the frames of what a task waits for; undefined where none is known. */
export function waitPlace(frames: readonly string[] | null): string | undefined {
  const place = throwPlace((frames ?? []).map((frame) => `    at ${frame}`).join("\n"));
  return place === undefined ? undefined : `waits ${place}`;
}

function isProgram(line: string): boolean {
  return FRAME.test(line) && !NATIVE.test(line) && !isRunner(line);
}

/** What JavaScript itself calls, `new Promise (<anonymous>)`, belongs to whoever called that. */
function outerOf(lines: readonly string[], at: number): string {
  return NATIVE.test(lines[at]!) ? (lines.slice(at).find((line) => !NATIVE.test(line)) ?? lines[at]!) : lines[at]!;
}

function isRunner(line: string): boolean {
  return FRAME.test(line) && (RUNNER.test(line) || OWN.some((own) => line.includes(own)));
}
