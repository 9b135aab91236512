/** The ioredis client we use everywhere, with what it gets wrong about lost connections put right. */
import { Redis, type Command, type RedisOptions } from "ioredis";
import { BusyPoll } from "./busy-poll.ts";
import { describeError } from "./errors.ts";
import { Unanswered } from "./unanswered.ts";

type Stream = Parameters<Redis["sendCommand"]>[1];
type Queue = Redis["commandQueue"];

/** What ioredis keeps to itself and offers no other way to. */
interface Internals {
  /** Commands that wait for a connection. */
  readonly offlineQueue: Queue;
  setSocketTimeout(): void;
  socketTimeoutTimer: NodeJS.Timeout | undefined;
}

export interface ClientOptions extends RedisOptions {
  /** Whether its answers are waited for awake, where they come at once. */
  readonly busyPoll?: boolean;
}

const SILENCE_CHECK_MS = 1000;
const CLOSED = "Connection is closed.";

/**
 * What ioredis 6 does otherwise, each tried on it:
 * - A command that was sent and not answered when the connection broke would, with `autoResendUnfulfilledCommands`
 *   off, settle by its timeout or never. It is rejected at once: whoever sent it decides whether to send it again.
 * - A command that timed out while waiting for a connection stays queued, and would still be sent, minutes after its
 *   caller was told that it failed; and a long outage would pile them up. They are dropped.
 * - `disconnect()` while it waits to reconnect settles nothing, and takes commands for ever after. It ends.
 * - When `SELECT` fails it goes on in database 0. Here the connection is not used.
 * - After the event loop was blocked, commands time out and the connection is given up for dead although the answers
 *   are there, unread. They are read first.
 * - `commandTimeout` sets a timer a command, which is a tenth of what a command costs this process. One watches over all.
 */
export class Client extends Redis {
  /** What went wrong last with the connection, in one line; `undefined` once it is ready again. */
  connectionFault: string | undefined;
  /** Since when it has been without a connection that was ready before (`performance.now()`). */
  lostAt: number | undefined;
  readonly #droppedPipelines = new WeakSet<object>();
  readonly #unanswered: Unanswered<Command> | undefined;
  readonly #busyPoll: BusyPoll | undefined;

  constructor({ commandTimeout, busyPoll = false, ...options }: ClientOptions) {
    super(options as RedisOptions & { replyMapping?: "legacy" });
    this.#busyPoll = busyPoll ? new BusyPoll(() => this.commandQueue.peekFront()) : undefined;
    this.#unanswered = commandTimeout === undefined ? undefined : new Unanswered(commandTimeout, (command) => command.reject(new Error("Command timed out")));
    this.#internals().setSocketTimeout = () => this.#watchForSilence();
    this.on("error", (error: Error) => {
      this.connectionFault = describeError(error);
      if (this.status === "connect") this.disconnect(true);
    });
    this.on("ready", () => {
      this.connectionFault = undefined;
      this.lostAt = undefined;
    });
    this.on("close", () => {
      this.lostAt ??= performance.now();
      rejectAll(this.commandQueue);
      this.#dropSettled(this.#internals().offlineQueue);
    });
  }

  override sendCommand(command: Command, stream?: Stream): unknown {
    if (stream === undefined ? command.isSettled : this.#isDropped(command, stream)) return command.promise;
    if (this.status !== "end") this.#unanswered?.add(command);
    const answer = super.sendCommand(command, stream);
    this.#busyPoll?.sent();
    return answer;
  }

  override disconnect(reconnect = false): void {
    const waiting = this.status === "reconnecting";
    super.disconnect(reconnect);
    if (!waiting || reconnect) return;
    this.status = "end";
    rejectAll(this.#internals().offlineQueue);
    this.emit("end");
  }

  /** Ends the connection now, without waiting for anything; what is not answered is rejected. Idempotent. */
  abandon(): void {
    if (this.status === "end") return;
    this.disconnect();
    this.stream?.destroy();
    rejectAll(this.commandQueue);
    rejectAll(this.#internals().offlineQueue);
  }

  /** A pipeline is written when all of its commands have come, so it is sent whole or not at all: as its first one goes. */
  #isDropped(command: Command, stream: object): boolean {
    if (command.pipelineIndex === 0 && command.isSettled) this.#droppedPipelines.add(stream);
    if (!this.#droppedPipelines.has(stream)) return false;
    if (!command.isSettled) command.reject(new Error(CLOSED));
    return true;
  }

  #dropSettled(queue: Queue): void {
    for (let left = queue.length; left > 0; left -= 1) {
      const item = queue.shift();
      if (item === undefined) return;
      const command = item.command as Command;
      if (!(item.stream === undefined ? command.isSettled : this.#isDropped(command, item.stream))) queue.push(item);
    }
  }

  /** Started by ioredis with the first command on a connection, ended by it with the connection. */
  #watchForSilence(): void {
    const { stream, options } = this;
    const limitMs = options.socketTimeout ?? Infinity;
    let heardAt = performance.now();
    stream.on("data", () => {
      heardAt = performance.now();
    });
    const isSilent = (): boolean => this.commandQueue.length > 0 && performance.now() - heardAt > limitMs;
    const giveUp = (): void => {
      if (isSilent()) stream.destroy(new Error(`Socket timeout: nothing was heard for ${limitMs} ms`));
    };
    // One timer a connection, not one a command: this is on the hot path.
    this.#internals().socketTimeoutTimer = setInterval(() => {
      if (this.commandQueue.length === 0) heardAt = performance.now();
      else if (isSilent()) setImmediate(giveUp);
    }, Math.min(limitMs / 4, SILENCE_CHECK_MS));
  }

  #internals(): Internals {
    return this as unknown as Internals;
  }
}

function rejectAll(queue: Queue): void {
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) item.command.reject(new Error(CLOSED));
}
