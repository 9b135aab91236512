/** Errors that nobody ever looked at, told once nobody can any more; asyncio does the same. */

const registry = new FinalizationRegistry<{ readonly what: string; readonly error: unknown }>(({ what, error }) => warnOfUnseen(what, error));

/** Told when `holder` is garbage, unless it is seen before. */
export function unseenUntilGarbage(holder: object, what: string, error: unknown): void {
  registry.register(holder, { what, error }, holder);
}

export function seen(holder: object): void {
  registry.unregister(holder);
}

/** Told of a failure rather than killed by it, since a task may well be looked at later. */
export function warnOfUnseen(what: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.emitWarning(`${what} failed and nobody looked at its error: ${text}`, "UnseenTaskError");
}
