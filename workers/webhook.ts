/**
 * Runs `webhook`: one HTTP POST, signed as Standard Webhooks say (https://www.standardwebhooks.com).
 *
 * 2xx is delivered. 408, 425, 429, 5xx and a failing network are tried again by the contract's back-off, or when the
 * receiver's `Retry-After` asks. Everything else, redirects included, is a dead letter: asking again would not change it.
 * The receiver may get an event twice (its answer may be lost), always under the same `webhook-id`.
 *
 * It posts wherever a job says. Where producers are not trusted, give the worker a network that reaches no private address.
 */

import { Webhook } from "standardwebhooks";
import { DeadLetter, defineHandler, RetryLater } from "millrace";
import { webhook } from "../producers/jobs/webhook.ts";

export default defineHandler(webhook, { concurrency: 50, handle: deliver });

/** What `deliver` needs of a job; `secret` names a variable of the environment. */
export interface WebhookPayload {
  readonly url: string;
  readonly event: string;
  readonly at?: string | undefined;
  readonly body: unknown;
  readonly secret: string;
}

/** What a later attempt may mend. */
const passing = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500;

/** A receiver may not put its events off for longer. */
const longestWaitMs = 3_600_000;
/** Enough to read an answer to its end, so that the connection can be used again; a longer one is cut off. */
const answerBytes = 64 * 1024;

/**
 * @throws RetryLater as the receiver's `Retry-After` asks, an ordinary error for what may pass, DeadLetter for what will not
 */
export async function deliver(payload: WebhookPayload, task: { readonly id: string; readonly signal: AbortSignal }): Promise<{ status: number }> {
  const body = JSON.stringify({ type: payload.event, ...(payload.at !== undefined && { timestamp: payload.at }), data: payload.body });
  const response = await post(payload.url, { body, headers: signed(payload.secret, task.id, body), signal: task.signal });
  await drain(response);
  const { status } = response;
  if (response.ok) return { status };
  if (status >= 300 && status < 400) throw new DeadLetter(`HTTP ${status}: redirects are not followed`);
  if (!passing(status)) throw new DeadLetter(`HTTP ${status}`);
  const waitMs = retryAfterMs(response.headers.get("retry-after"), Date.now());
  if (waitMs > 0) throw new RetryLater(Math.min(waitMs, longestWaitMs), `HTTP ${status}`);
  throw new Error(`HTTP ${status}`);
}

/** The time is the attempt's, so that a receiver that refuses old signatures takes a late attempt. */
function signed(variable: string, id: string, body: string): Record<string, string> {
  const now = new Date();
  return {
    "content-type": "application/json",
    "user-agent": "millrace",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": signer(variable).sign(id, now, body),
  };
}

/** An ordinary error, not a dead letter: the operator can mend the environment while the attempts last. */
function signer(variable: string): Webhook {
  const secret = process.env[variable];
  if (secret === undefined || secret === "") throw new Error(`expected the signing secret in the environment variable ${variable}, which is not set`);
  try {
    return new Webhook(secret);
  } catch {
    throw new Error(`expected base64 in the environment variable ${variable}, such as whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`); // never the cause: it may show the secret
  }
}

async function post(url: string, init: { body: string; headers: Record<string, string>; signal: AbortSignal }): Promise<Response> {
  try {
    return await fetch(url, { ...init, method: "POST", redirect: "manual" });
  } catch (error) {
    init.signal.throwIfAborted();
    // fetch says "fetch failed" of whatever happened; why is in its cause.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`no answer: ${cause instanceof Error && cause.message !== "" ? cause.message : String((cause as NodeJS.ErrnoException).code ?? cause)}`, { cause: error });
  }
}

/** The status is the answer; a body that breaks off changes nothing. */
async function drain(response: Response): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > answerBytes) return;
    }
  } catch {}
}

/**
 * Of a `Retry-After` header, in milliseconds from `now`: seconds or an HTTP date (RFC 9110, 10.2.3).
 *
 * @returns 0 when it is absent, past, or not of its form
 */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate.test(text) ? Date.parse(text) - now : 0;
  return ms > 0 ? ms : 0;
}

/** `Date.parse` alone takes far more than HTTP's dates, `-5` for instance. */
const httpDate = /^[A-Z][a-z]{2,8}, .+ GMT$/;
