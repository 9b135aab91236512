/** The contract of `digest`: what a file holds, found by reading it once. */

import { z } from "zod";
import { defineJob } from "millrace/job";

/** What one reading of a file tells. */
export const digestResult = z.object({
  bytes: z.int().min(0),
  /** Lower-case hex, as `sha256sum` prints it. */
  sha256: z.hex().length(64),
  /** Newline bytes, as `wc -l` counts them: a last line without a newline is not one. */
  lines: z.int().min(0),
  /** By content, never by name. */
  mime: z.string(),
});

export type Digest = z.infer<typeof digestResult>;

/**
 * The digest job on a queue of its own, for whoever must not mix two trees. The worker of `digest` serves the queue `digest`;
 * another queue needs a handler of its own: `defineHandler(digestOn("…"), { handle: digestFile })`.
 */
export function digestOn(queue: string) {
  return defineJob("digest", {
    queue,
    payload: z.object({
      /** Absolute. A name that is not valid UTF-8 shows U+FFFD here and has its bytes in `pathBase64`. */
      path: z.string().min(1),
      /** The bytes of the path, where `path` cannot carry them: a file system allows any byte but NUL. */
      pathBase64: z.base64().optional(),
    }),
    result: digestResult,
    attempts: 3,
    backoff: { type: "exponential", base: "500ms", max: "10s", jitter: 0.5 },
    timeout: "1h",
    // The next run over the same tree finds here what is done already.
    keep: { completed: { age: "1d" }, failed: { age: "1d" } },
  });
}

export const digest = digestOn("digest");
