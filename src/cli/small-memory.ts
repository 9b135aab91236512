/** Keeps the memory of a command small that streams what it reads. */
import { setFlagsFromString } from "node:v8";

/**
 * V8 lets its space for young objects grow while many of them are made, to 48 MB and more where its own threads wait for a core.
 * A million rows that are read, printed and forgotten need none of that. Workers are left as they are: there it buys speed.
 */
export function keepMemorySmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
