/** A running pool's side of messages: hears those that are to it, does what they say, and answers each. */
import { NotFoundError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { asBackendError } from "../redis/errors.ts";
import { answerChannel, messageChannel } from "./keys.ts";
import { decodeMessage, encodeAnswer, type Answer, type Message } from "./message.ts";
import { checkArgs, isVerb, type Verb, type Verbs } from "./verbs.ts";

/** What a pool does for each verb; one that takes longer than an answer may calls `begun` first. */
export type Deeds = { readonly [V in Verb]: (args: Verbs[V]["args"], begun: () => void) => Verbs[V]["value"] | Promise<Verbs[V]["value"]> };

export interface Hearer {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly deeds: Deeds;
}

/** Who asked waits a second; an answer takes its time, too. */
const HEARD_WITHIN_MS = 900;

/** Listens until the signal fires; `connections.open()` comes first. */
export function hearMessages(connections: Connections, hearer: Hearer, log: Logger, signal: AbortSignal): void {
  if (signal.aborted) return;
  const stop = connections.subscriber.listen(messageChannel(connections.prefix), {
    message: (text) => {
      const message = decodeMessage(text);
      if (message === undefined || (message.to !== null && !message.to.includes(hearer.id))) return;
      const lateMs = connections.clock.now() - message.sentAt;
      if (lateMs <= HEARD_WITHIN_MS) void obey(connections, hearer, message, log);
      else log.warn({ verb: message.verb, lateMs }, "heard an operator's message too late to answer it: leaves it alone");
    },
    listening: () => {},
    refused: (error) => log.warn({ err: error }, "cannot listen for operators: this pool cannot be steered"),
  });
  signal.addEventListener("abort", stop, { once: true });
}

async function obey(connections: Connections, hearer: Hearer, { id, verb, args }: Message, log: Logger): Promise<void> {
  const say = async (answer: Answer): Promise<void> => {
    try {
      for (const part of encodeAnswer(hearer, answer)) await connections.command.publish(answerChannel(connections.prefix, id), part);
    } catch (error) {
      log.warn({ verb, err: asBackendError(error) }, "cannot answer an operator");
    }
  };
  if (verb !== "ping") log.info({ verb, args }, `an operator says ${verb}`);
  try {
    if (!isVerb(verb)) throw new NotFoundError(`expected a verb that Millrace ${hearer.version} knows, got ${verb}`);
    const deed = hearer.deeds[verb] as (args: object, begun: () => void) => unknown;
    await say({ kind: "value", value: await deed(checkArgs(verb, args), () => void say({ kind: "begun" })) });
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    await say({ kind: "error", code: typeof code === "string" ? code : "FAILED", message: typeof message === "string" ? message : String(error) });
  }
}
