/** `redis …`: the server of this folder's own. */
import { NotFoundError } from "../errors.ts";
import { embeddedStatus, startEmbedded, stopEmbedded, type EmbeddedStatus } from "../redis/embedded.ts";
import { ensureServer } from "../redis/server.ts";
import type { Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";

/** Starts the server, installing its program first where that can be done. It runs until `stop`. */
export async function start(context: Context): Promise<void> {
  await ensureServer((line) => context.log.info(line));
  await print(context, await startEmbedded({}));
}

/** @returns 1 when it is in use and goes on */
export async function stop({ output }: Context, { force = false }: { readonly force?: boolean }): Promise<number> {
  const { users } = await stopEmbedded({ force });
  const state = users === 0 ? "stopped" : "running";
  await output.result(users === 0 ? "stopped" : `in use by ${users}: stops when the last one leaves; --force stops it now`, { state, users });
  return users === 0 ? EXIT.done : EXIT.failed;
}

/** @returns 4 when it does not run */
export async function status(context: Context): Promise<number> {
  const found = await embeddedStatus({});
  await print(context, found);
  return found.state === "stopped" ? EXIT.notFound : found.state === "silent" ? EXIT.unreachable : EXIT.done;
}

/** @throws NotFoundError when it does not run */
export async function url({ output }: Context): Promise<void> {
  const { state, url, dir } = await embeddedStatus({});
  if (state === "stopped") throw new NotFoundError(`no server runs for ${dir}: millrace redis start`);
  await output.result(url, { url });
}

/** Prints the server program; installs one where there is none and it can be done. */
export async function ensure({ output, log }: Context): Promise<void> {
  const { path, version } = await ensureServer((line) => log.info(line));
  await output.result(`${path} ${version}`, { path, version });
}

function print({ output }: Context, { state, url, dir, pid, users, stays }: EmbeddedStatus): Promise<void> {
  const text =
    state === "stopped"
      ? `stopped: no server runs for ${dir}`
      : `${state}: ${url} (pid ${pid ?? "unknown"}), in use by ${users}, ${stays ? "runs until redis stop" : "stops with its last user"}`;
  return output.result(text, { state, url, dir, pid: pid ?? null, users, stays });
}
