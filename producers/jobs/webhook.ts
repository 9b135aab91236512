/** The contract of `webhook`: an HTTP POST, signed as Standard Webhooks say (https://www.standardwebhooks.com). */

import { z } from "zod";
import { defineJob } from "millrace/job";

export const webhook = defineJob("webhook", {
  payload: z.object({
    url: z
      .url({ protocol: /^https?$/ })
      .refine((url) => !URL.canParse(url) || (new URL(url).username === "" && new URL(url).password === ""), "expected a URL without a user and password: they would lie in Redis"),
    /** What happened, such as `invoice.paid`: the body's `type`. */
    event: z.string().min(1),
    /** When it happened: the body's `timestamp`. */
    at: z.iso.datetime({ offset: true }).optional(),
    /** The body's `data`. */
    body: z.json(),
    /**
     * The variable of the worker's environment that holds the signing secret (`whsec_…`). The secret itself is never in a job,
     * so it is not in Redis either. Other names are refused, or a producer could have any secret of the worker sign for it.
     */
    secret: z
      .string()
      .regex(/^WEBHOOK_SECRET(_[A-Z0-9_]+)?$/, "expected the name of an environment variable, WEBHOOK_SECRET or WEBHOOK_SECRET_…")
      .default("WEBHOOK_SECRET"),
  }),
  /** The receiver's answer, always 2xx: everything else is an error. */
  result: z.object({ status: z.int() }),
  // Waits of 5 s, 10 s, … up to an hour, 7 to 10 hours in all: a receiver may be down for a night.
  attempts: 20,
  backoff: { type: "exponential", base: "5s", max: "1h", jitter: 0.5 },
  timeout: "30s",
  keep: { completed: { count: 1000, age: "1h" }, failed: { age: "7d" } },
});
