/** A profile of where this process spends its time, as Chrome's developer tools and editors open it (`.cpuprofile`). */
import { sleep } from "../concurrency/sleep.ts";
import { StateError } from "../errors.ts";

let isRunning = false;

/**
 * @param signal  ends it early, with what there is
 * @returns the profile's JSON, packed by gzip, in base64
 * @throws StateError when one is being taken already
 */
export async function profileCpu(seconds: number, signal: AbortSignal): Promise<string> {
  if (isRunning) throw new StateError("expected one profile of a process at a time: another one is being taken");
  isRunning = true;
  try {
    const { Session } = process.getBuiltinModule("node:inspector/promises");
    const session = new Session();
    session.connect();
    try {
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
      await sleep(seconds * 1000, { signal }).catch(() => {});
      const { profile } = await session.post("Profiler.stop");
      return await packed(JSON.stringify(profile));
    } finally {
      session.disconnect();
    }
  } finally {
    isRunning = false;
  }
}

async function packed(text: string): Promise<string> {
  const { promisify } = process.getBuiltinModule("node:util");
  const { gzip } = process.getBuiltinModule("node:zlib");
  return (await promisify(gzip)(text)).toString("base64");
}
