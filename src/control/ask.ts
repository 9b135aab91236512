/** An operator's side of messages: asks pools, and gathers what they answer within a second, and who does not. */
import { randomBytes } from "node:crypto";
import { Limit } from "../concurrency/limit.ts";
import { startTimer } from "../concurrency/timer.ts";
import { BackendError } from "../errors.ts";
import type { Connections } from "../redis/connection.ts";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { answerChannel, messageChannel, poolIndexKey } from "./keys.ts";
import { AnswerParts, encodeMessage, type Answer, type Message } from "./message.ts";
import { registeredPools } from "./registry.ts";
import { checkArgs, type Verb, type Verbs } from "./verbs.ts";

export interface NamedPool {
  readonly id: string;
  readonly name: string;
}

export interface Replies<T> {
  /** In the order in which they were asked. */
  readonly answers: readonly ({ readonly pool: NamedPool; readonly value: T } | { readonly pool: NamedPool; readonly error: { readonly code: string; readonly message: string } })[];
  /** They were registered, and did not answer in time: whether they have done it is not known, but they will not do it later. */
  readonly unanswered: readonly NamedPool[];
}

/** Until when a pool answers, or says that it has begun. */
export const ANSWER_WITHIN_MS = 1000;
const LASTS_MS = 5000;
const LISTEN_WITHIN_MS = 4500;

/**
 * Asks some pools, or all.
 *
 * @param to      those that are registered, or `"all"`: also who has registered this moment
 * @param lastsMs how long a pool that says it has begun may take; what is long has begun with its first part
 * @throws OptionError before any I/O; BackendError
 */
export async function ask<V extends Verb>(
  connections: Connections,
  verb: V,
  args: Verbs[V]["args"],
  to: readonly NamedPool[] | "all",
  lastsMs = LASTS_MS,
): Promise<Replies<Verbs[V]["value"]>> {
  const checked = checkArgs(verb, args);
  await connections.open();
  const expected = to === "all" ? await registeredPools(connections) : to;
  const message: Message = { id: randomBytes(9).toString("base64url"), verb, args: checked, to: to === "all" ? null : to.map(({ id }) => id) };
  const asking = new Asking(expected);
  const stop = await listen(connections, answerChannel(connections.prefix, message.id), (text) => asking.hear(text));
  try {
    await runScript(connections.command, SEND, [poolIndexKey(connections.prefix)], [messageChannel(connections.prefix), encodeMessage(message)]);
    return (await asking.replies(lastsMs)) as Replies<Verbs[V]["value"]>;
  } finally {
    stop();
  }
}

class Asking {
  readonly #pools: Map<string, NamedPool>;
  readonly #parts = new AnswerParts();
  readonly #begun = new Set<string>();
  readonly #answers = new Map<string, Exclude<Answer, { readonly kind: "begun" }>>();
  #heard: () => void = () => {};

  constructor(expected: readonly NamedPool[]) {
    this.#pools = new Map(expected.map(({ id, name }) => [id, { id, name }]));
  }

  hear(text: string): void {
    const told = this.#parts.take(text);
    if (told === undefined) return;
    const { from: id, name, answer } = told;
    if (!this.#pools.has(id)) this.#pools.set(id, { id, name });
    if (answer.kind === "begun") this.#begun.add(id);
    else this.#answers.set(id, answer);
    this.#heard();
  }

  async replies(lastsMs: number): Promise<Replies<unknown>> {
    await this.#until(() => this.#unanswered.length === 0, ANSWER_WITHIN_MS);
    await this.#until(() => this.#unanswered.every(({ id }) => !this.#begun.has(id)), lastsMs);
    const answers = [...this.#pools.values()].flatMap((pool) => {
      const answer = this.#answers.get(pool.id);
      return answer === undefined ? [] : [answer.kind === "value" ? { pool, value: answer.value } : { pool, error: { code: answer.code, message: answer.message } }];
    });
    return { answers, unanswered: this.#unanswered };
  }

  get #unanswered(): NamedPool[] {
    return [...this.#pools.values()].filter(({ id }) => !this.#answers.has(id));
  }

  #until(holds: () => boolean, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        callOff();
        resolve();
      };
      const callOff = startTimer(ms, () => end());
      this.#heard = () => {
        if (holds()) end();
      };
      this.#heard();
    });
  }
}

/** Resolves when it hears. @throws BackendError */
async function listen(connections: Connections, channel: string, message: (text: string) => void): Promise<() => void> {
  const heard = Promise.withResolvers<void>();
  const stop = connections.subscriber.listen(channel, { message, listening: heard.resolve, refused: (error) => heard.reject(asBackendError(error)) });
  using limit = new Limit({ timeout: LISTEN_WITHIN_MS }, () => new BackendError("expected to hear answers from Redis within 4.5 s: it does not let us listen", { mayHaveRun: false }));
  try {
    await limit.around(heard.promise);
    return stop;
  } catch (error) {
    stop();
    throw error;
  }
}

/**
 * KEYS  index, for the slot that a cluster looks for it in
 * ARGV  channel, message
 */
const SEND: Script = {
  name: "control-send",
  lua: `
local time = redis.call('TIME')
redis.call('PUBLISH', ARGV[1], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) .. ' ' .. ARGV[2])
return 1
`,
};
