/** All scenarios, in the order of the rows. */
import { f01 } from "./rows/f01-worker-killed.ts";
import { f03 } from "./rows/f03-told-to-end.ts";
import type { Scenario } from "./scenario.ts";

export const rows: readonly Scenario[] = [f01, f03];
