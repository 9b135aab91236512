/** One process at a time, by a lock file, also after its holder was killed. */
import { mkdir, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { lock, type LockOptions } from "proper-lockfile";
import { sleep } from "../concurrency/sleep.ts";
import { startTicker } from "../concurrency/timer.ts";
import { RedisServerError } from "../errors.ts";

const POLL_MS = 25;
const RENEWED_EVERY_MS = 1000;
const BEAT_MS = 250;
/** A lock that was not renewed for so long belongs to nobody: its holder was killed. */
const STALE_MS = 5000;
const NEVER_MS = 2 ** 45;

/**
 * Runs `work` while holding the lock `path`.
 *
 * proper-lockfile takes over a stale lock by removing it, and two that wait can remove each other's new one. So here
 * it never takes over: a stale lock is removed under a second lock, which is looked at again once that is held.
 *
 * @param work  is given `assertHeld`, to be called right before what must not happen twice: it throws when this process
 *              was stopped for so long that another may have taken the lock
 * @throws RedisServerError when the lock is not free within `waitMs`
 */
export async function withLock<T>(path: string, waitMs: number, work: (assertHeld: () => void) => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true }).catch((cause: Error) => {
    throw new RedisServerError(`could not make ${dirname(path)}: ${cause.message}`, { cause });
  });
  const release = await acquire(path, waitMs);
  // By the clock on the wall, as the lock's age is: it runs on while the machine sleeps.
  let aliveAt = Date.now();
  let lost = false;
  const beat = (): void => {
    lost ||= Date.now() - aliveAt > STALE_MS / 2;
    aliveAt = Date.now();
  };
  const stopBeating = startTicker(BEAT_MS, beat, { keepsAlive: false });
  const assertHeld = (): void => {
    beat();
    if (lost) throw new RedisServerError(`may have lost the lock ${path}: this process was stopped for too long; try again`);
  };
  try {
    return await work(assertHeld);
  } finally {
    stopBeating();
    // Taken over meanwhile: there is nothing left to release.
    await release().catch(() => undefined);
  }
}

async function acquire(path: string, waitMs: number): Promise<() => Promise<void>> {
  const giveUpAt = performance.now() + waitMs;
  for (;;) {
    const release = await tryLock(path, NEVER_MS);
    if (release !== undefined) return release;
    if (await isStale(path)) await breakLock(path);
    else if (performance.now() > giveUpAt) throw new RedisServerError(`another process holds the lock ${path} for longer than ${waitMs / 1000} s`);
    else await sleep(POLL_MS * (1 + Math.random()));
  }
}

async function breakLock(path: string): Promise<void> {
  const release = await tryLock(`${path}.stale`, STALE_MS);
  if (release === undefined) {
    await sleep(POLL_MS);
    return;
  }
  try {
    if (await isStale(path)) await rmdir(path).catch(() => undefined);
  } finally {
    await release().catch(() => undefined);
  }
}

async function tryLock(path: string, staleMs: number): Promise<(() => Promise<void>) | undefined> {
  const options: LockOptions = {
    lockfilePath: path,
    realpath: false,
    stale: staleMs,
    update: RENEWED_EVERY_MS,
    // Its default throws where nobody can catch. `assertHeld` looks for itself.
    onCompromised: () => undefined,
  };
  try {
    return await lock(path, options);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ELOCKED") return undefined;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < Date.now() - STALE_MS;
}
