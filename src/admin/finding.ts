/** What `doctor` finds: one thing that is wrong, how that is known, and what to type. */
export interface Finding {
  /** Which kind it is, for programs: `unconsumed`. */
  readonly finding: string;
  /** `error`: jobs are lost or stand still. `warning`: they will be, or are slow. */
  readonly severity: "error" | "warning";
  /** `redis`, `queue mail`, `worker web-1:4711`. */
  readonly subject: string;
  readonly message: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly remedy: string;
}

/** A finding of a kind, or none. */
export type Look<Facts> = (facts: Facts) => Finding | undefined;

/** `mail` as it is, `my queue` in quotes: what may stand in a command line. */
export function typed(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Several of them: behind `--` where one would be read as an option, as an id `--all` would, of all jobs. */
export function typedAll(...words: readonly string[]): string {
  return [...(words.some((word) => word.startsWith("-")) ? ["--"] : []), ...words.map(typed)].join(" ");
}
