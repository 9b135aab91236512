/** The ioredis client we use everywhere, with what it gets wrong about lost connections put right. */
import { Redis, type Command, type RedisOptions } from "ioredis";
import { describeError } from "./errors.ts";

type Stream = Parameters<Redis["sendCommand"]>[1];
type Queue = Redis["commandQueue"];

const CLOSED = "Connection is closed.";

/**
 * What ioredis 6 does otherwise, each tried on it:
 * - A command that was sent and not answered when the connection broke would, with `autoResendUnfulfilledCommands`
 *   off, never settle but by its timeout. It is rejected at once: whoever sent it decides whether to send it again.
 * - A command that timed out while waiting for a connection stays queued, and would still be sent, minutes after its
 *   caller was told that it failed; and a long outage would pile them up. They are dropped.
 * - `disconnect()` while it waits to reconnect settles nothing. `abandon()` does.
 * - When `SELECT` fails it goes on in database 0. Here the connection is not used.
 */
export class Client extends Redis {
  /** What went wrong last with the connection, in one line; `undefined` once it is ready again. */
  connectionFault: string | undefined;
  readonly #droppedPipelines = new WeakSet<object>();

  constructor(options: RedisOptions) {
    super(options as RedisOptions & { replyMapping?: "legacy" });
    this.on("error", (error: Error) => {
      this.connectionFault = describeError(error);
      if (this.status === "connect") this.disconnect(true);
    });
    this.on("ready", () => {
      this.connectionFault = undefined;
    });
    this.on("close", () => {
      rejectAll(this.commandQueue);
      this.#dropSettled(this.#waiting());
    });
  }

  override sendCommand(command: Command, stream?: Stream): unknown {
    if (stream === undefined ? command.isSettled : this.#isDropped(command, stream)) return command.promise;
    return super.sendCommand(command, stream);
  }

  /** Ends the connection now, without waiting for anything; what is not answered is rejected. Idempotent. */
  abandon(): void {
    this.disconnect();
    this.stream?.destroy();
    rejectAll(this.commandQueue);
    rejectAll(this.#waiting());
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
      const dropped = item.stream === undefined ? (item.command as Command).isSettled : this.#isDropped(item.command as Command, item.stream);
      if (!dropped) queue.push(item);
    }
  }

  /** Commands that wait for a connection. Private to ioredis, which has no other way to reach them. */
  #waiting(): Queue {
    return (this as unknown as { offlineQueue: Queue }).offlineQueue;
  }
}

function rejectAll(queue: Queue): void {
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) item.command.reject(new Error(CLOSED));
}
