/** The contract of `thumbnail`: a small picture made of a large one. */

import { z } from "zod";
import { defineJob } from "millrace/job";

/** By the ending of the target's name. */
export const thumbnailEndings = ["jpg", "jpeg", "png", "webp", "avif"] as const;

const pixels = z.int().min(1).max(16_383); // as much as WebP takes

export const thumbnail = defineJob("thumbnail", {
  payload: z.object({
    /** The picture: absolute, and read where the worker runs. */
    source: z.string().startsWith("/"),
    /** The thumbnail: absolute. What lies there is replaced at once and as a whole; a missing folder is made. */
    target: z.string().regex(new RegExp(`^/.*\\.(${thumbnailEndings.join("|")})$`, "i"), `expected an absolute path that ends in ${thumbnailEndings.join(", ")}`),
    /** It fits into these and keeps its proportions; a smaller picture keeps its size. */
    width: pixels.default(320),
    height: pixels.default(320),
  }),
  result: z.object({ width: z.int().min(1), height: z.int().min(1), bytes: z.int().min(1) }),
  attempts: 3,
  timeout: "1m",
  keep: { completed: { count: 1000, age: "1h" }, failed: { age: "7d" } },
});
