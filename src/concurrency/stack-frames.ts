/** What of a stack is of use to who reads it: the frames of the program, without those of Node and of this toolkit. */
import { sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Of which the frames are left out: this folder, by its path and by its URL. */
const OWN_PATH = import.meta.dirname + sep;
const OWN_URL = pathToFileURL(OWN_PATH).href;
const NODE = /^\s+at .*\(?node:/;
const FRAME = /^\s+at (?:async )?(?:(.*) \()?((?:file:\/\/|\/|[A-Za-z]:\\|data:|https?:).*):(\d+):(\d+)\)?$/;

/** Innermost first, each as `name (/path/file.ts:line:column)`, which a terminal can open. */
export function programFrames(stack: string): string[] {
  return stack.split("\n").flatMap((line) => {
    const [, name, file, row, column] = FRAME.exec(line) ?? [];
    if (file === undefined || file.startsWith(OWN_URL) || file.startsWith(OWN_PATH)) return [];
    const place = `${file.startsWith("file:") ? fileURLToPath(file) : file}:${row}:${column}`;
    return [name === undefined || name === "" ? place : `${name} (${place})`];
  });
}

/** The innermost frame that is nobody's package, else the innermost. */
export function placeOf(frames: readonly string[]): string | undefined {
  return frames.find((frame) => !/[\\/]node_modules[\\/]/.test(frame)) ?? frames[0];
}

/** Whether the innermost program frame has called a function of Node's own. */
export function isWithinNode(stack: string): boolean {
  const lines = stack.split("\n");
  const [innermost] = lines.flatMap((line, at) => (programFrames(line).length > 0 ? [at] : []));
  return innermost !== undefined && NODE.test(lines[innermost - 1] ?? "");
}
