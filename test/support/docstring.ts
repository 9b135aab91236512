/** The examples in docstrings: every block fenced as `ts` in the sources. */
import { readSources } from "./source-tree.ts";

export interface Example {
  /** The file and, when it has several, which of them: `src/concurrency/task.ts`, `src/concurrency/task.ts 2`. */
  readonly name: string;
  readonly path: string;
  readonly code: string;
}

const fenced = /^( *)\* ```ts\n([^]*?)^ *\* ```$/gm;

export function examplesIn(root: URL, folders: readonly string[]): Example[] {
  return [...readSources(root, folders)].flatMap(([path, source]) =>
    [...source.matchAll(fenced)].map(([, , body = ""], at) => ({
      name: at === 0 ? path : `${path} ${at + 1}`,
      path,
      code: body.replace(/^ *\* ?/gm, ""),
    })),
  );
}
