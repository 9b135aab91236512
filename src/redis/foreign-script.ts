/** Runs a Lua script on a client that is not ours: of whatever version of ioredis, and with errors as it gives them. */
import { createHash } from "node:crypto";
import { unpack, type Script } from "./script.ts";

type Argument = string | number | Buffer;

/** What a client of ioredis has, and those of other libraries have not. */
export interface ForeignClient {
  evalBuffer(lua: string, keys: number, ...args: Argument[]): Promise<unknown>;
  evalshaBuffer(hash: string, keys: number, ...args: Argument[]): Promise<unknown>;
}

export function isForeignClient(client: unknown): client is ForeignClient {
  const { evalBuffer, evalshaBuffer } = client as Partial<ForeignClient>;
  return typeof evalBuffer === "function" && typeof evalshaBuffer === "function";
}

export class ForeignScript {
  readonly #lua: string;
  readonly #hash: string;
  /** Whose servers have it. */
  readonly #known = new WeakSet<ForeignClient>();

  constructor({ lua }: Script) {
    this.#lua = lua;
    this.#hash = createHash("sha1").update(lua).digest("hex");
  }

  /**
   * Runs a script that returns `cmsgpack.pack(value)`, and decodes it. A client's first run carries the text, so that
   * its server knows it from then on: one that has to be sent again would come behind what was sent after it.
   */
  async runPacked(client: ForeignClient, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return unpack(await this.#run(client, keys, args));
  }

  async #run(client: ForeignClient, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    if (this.#known.has(client)) {
      try {
        return await client.evalshaBuffer(this.#hash, keys.length, ...keys, ...args);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      }
    }
    this.#known.add(client);
    return client.evalBuffer(this.#lua, keys.length, ...keys, ...args);
  }
}
