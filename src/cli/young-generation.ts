/**
 * For commands that stream more than memory holds: V8 doubles the space for new objects again and again while much is made,
 * though next to nothing of it lives. Held to what it is, a million lines take 40 MB less, at the same speed.
 */
import { setFlagsFromString } from "node:v8";

/** From now on, in this process. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
