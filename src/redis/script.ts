/** Runs Lua scripts: the hot path. */
import { createHash } from "node:crypto";
import { Command, type Redis } from "ioredis";
import { Packr, Unpackr } from "msgpackr";
import { asBackendError } from "./errors.ts";

/** A Lua script; `name` says in errors and metrics which. One constant a script: its hash is computed once per object. */
export interface Script {
  readonly name: string;
  readonly lua: string;
}

type Argument = string | number | Buffer;

/** Redis packs an integer beyond 32 bits (every instant) as 64 bits, which would otherwise become a BigInt. */
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });
const hashes = new WeakMap<Script, string>();

/**
 * Runs a script: by its hash, or with its text when the server does not know it yet. Strings in the reply are UTF-8.
 *
 * @throws BackendFullError, BackendError (`mayHaveRun` says whether it may have had an effect); the script's own errors
 */
export function runScript(client: Redis, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
  return run(client, script, keys, args, "utf8");
}

/**
 * Runs a script that returns `cmsgpack.pack(value)`, and decodes it: one blob costs a seventh of nested replies.
 * An empty Lua table arrives as `{}` or `[]` by cmsgpack's own rule (`[]`).
 *
 * @throws like {@link runScript}
 */
export async function runPacked(client: Redis, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
  return unpack(await runRaw(client, script, keys, args));
}

/**
 * Runs a script whose reply has texts that `cmsgpack` has packed: all of its texts are Buffers.
 *
 * @throws like {@link runScript}
 */
export function runRaw(client: Redis, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
  return run(client, script, keys, args, null);
}

/**
 * Packs values one behind the other, for `{cmsgpack.unpack(text)}`: a table of which Lua knows the size costs half of one that grows. At most some
 * 7,000 of them, since they pass over Lua's stack.
 */
export function packValues(values: readonly unknown[]): Buffer {
  // As a list, whose head is left out.
  return packr.pack(values).subarray(values.length < 0x10 ? 1 : values.length < 0x10000 ? 3 : 5);
}

const packr = new Packr({ useRecords: false });

/** What a script has packed by cmsgpack. */
export function unpack(reply: unknown): unknown {
  return Buffer.isBuffer(reply) ? unpackr.unpack(reply) : reply;
}

async function run(
  client: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  replyEncoding: BufferEncoding | null,
): Promise<unknown> {
  let command = new Command("evalsha", [hashOf(script), keys.length, ...keys, ...args], { replyEncoding });
  try {
    return await client.sendCommand(command);
  } catch (error) {
    if (!isUnknownScript(error)) throw asBackendError(error, command.isTraced);
  }
  command = new Command("eval", [script.lua, keys.length, ...keys, ...args], { replyEncoding });
  try {
    return await client.sendCommand(command);
  } catch (error) {
    throw asBackendError(error, command.isTraced);
  }
}

function hashOf(script: Script): string {
  let hash = hashes.get(script);
  if (hash === undefined) {
    hash = createHash("sha1").update(script.lua).digest("hex");
    hashes.set(script, hash);
  }
  return hash;
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
