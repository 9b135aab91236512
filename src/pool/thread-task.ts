/** What a handler in a thread sees of its delivery. The task itself is in the pool's thread; this one asks it by messages. */
import { receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { type Carried, revive } from "../concurrency/carried-error.ts";
import { PayloadError } from "../errors.ts";
import type { JobTask, TaskLog } from "../job/handler.ts";

/** What of a task does not change. */
export type TaskFacts = Pick<JobTask, "id" | "name" | "attempt" | "deadline" | "fence" | "scheduledAt">;

export type FromThread =
  | { readonly log: keyof TaskLog; readonly message: string; readonly fields: object }
  | { readonly progress: unknown; readonly call: number }
  | { readonly assertsLease: true; readonly call: number };

export type ToThread = { readonly interrupted: Carried } | { readonly call: number; readonly failed: Carried | undefined };

export class ThreadTask implements JobTask, Disposable {
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  readonly deadline: Date | undefined;
  readonly fence: string;
  readonly scheduledAt: Date | undefined;
  readonly log: TaskLog;
  readonly signal: AbortSignal;
  readonly #port: MessagePort;
  readonly #controller = new AbortController();
  readonly #calls = new Map<number, PromiseWithResolvers<void>>();
  #lastCall = 0;

  constructor(facts: TaskFacts, port: MessagePort) {
    ({ id: this.id, name: this.name, attempt: this.attempt, deadline: this.deadline, fence: this.fence, scheduledAt: this.scheduledAt } = facts);
    this.#port = port;
    this.log = { debug: this.#logAt("debug"), info: this.#logAt("info"), warn: this.#logAt("warn"), error: this.#logAt("error") };
    this.signal = this.#lookedAt(this.#controller.signal);
    port.on("message", (message: ToThread) => this.#receive(message));
  }

  async progress(value: unknown): Promise<void> {
    const call = (this.#lastCall += 1);
    try {
      this.#tell({ progress: value, call });
    } catch (cause) {
      throw new PayloadError(`expected progress of job ${this.name} that can leave its thread: ${(cause as Error).message}`);
    }
    await this.#answerTo(call);
  }

  async assertLease(): Promise<void> {
    const call = (this.#lastCall += 1);
    this.#tell({ assertsLease: true, call });
    await this.#answerTo(call);
  }

  [Symbol.dispose](): void {
    this.#port.close();
  }

  /** A handler that computes gives no way to messages: whoever looks at the signal fetches them first. */
  #lookedAt(signal: AbortSignal): AbortSignal {
    const aborted = Reflect.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")?.get as () => boolean;
    const look = (): boolean => {
      if (!aborted.call(signal)) this.#fetch();
      return aborted.call(signal);
    };
    return Object.defineProperties(signal, {
      aborted: { get: look },
      throwIfAborted: {
        value() {
          if (look()) throw signal.reason;
        },
      },
    });
  }

  #fetch(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) this.#receive(next.message as ToThread);
  }

  #answerTo(call: number): Promise<void> {
    const answer = Promise.withResolvers<void>();
    this.#calls.set(call, answer);
    return answer.promise;
  }

  #receive(message: ToThread): void {
    if ("interrupted" in message) return this.#controller.abort(revive(message.interrupted));
    const answer = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.failed === undefined) answer?.resolve();
    else answer?.reject(revive(message.failed) as Error);
  }

  #tell(message: FromThread): void {
    this.#port.postMessage(message, []);
  }

  #logAt(level: keyof TaskLog) {
    return (message: string, fields: object = {}): void => {
      try {
        this.#tell({ log: level, message, fields });
      } catch {
        // A line is not to fail a job: what cannot be copied is told by its text.
        const told = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === "object" || typeof value === "function" ? String(value) : value]));
        this.#tell({ log: level, message, fields: told });
      }
    };
  }
}
