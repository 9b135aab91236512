/** What a pool runs of one queue, by job name. */
import { EVERY_NAME } from "../job/every-name.ts";
import type { Runnable } from "./executor.ts";

/** One of them may take every name that no other does. */
export class Runnables extends Map<string, Runnable> {
  override get(name: string): Runnable | undefined {
    return super.get(name) ?? super.get(EVERY_NAME);
  }
}
