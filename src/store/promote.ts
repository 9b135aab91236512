/** Lets delayed jobs run now. */
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** @returns the ids that wait now; the others were not delayed. @throws BackendError */
export async function promoteJobs(queue: StoredQueue, ids: readonly string[]): Promise<ReadonlySet<string>> {
  try {
    const stock = await queue.stock();
    const done = await Promise.all(
      ids.map((id) =>
        stock.promote(id).then(
          () => true,
          (error: unknown) => {
            if (error instanceof Error && "code" in error && error.code === -3) return false;
            throw error;
          },
        ),
      ),
    );
    return new Set(ids.filter((_, i) => done[i]));
  } catch (error) {
    throw asBackendError(error);
  }
}
