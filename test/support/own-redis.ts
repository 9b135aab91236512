/** A Redis that somebody breaks: a server process of its own that can be ended, paused and started again on its data. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startProcess } from "./redis-process.ts";
import type { ServerProgram } from "./server-image.ts";

export interface OwnRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Where its data is. */
  readonly dir: string;
  /** Of the server that runs now. */
  readonly pid: number;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again after one of these: same port, same data. */
  start(): Promise<void>;
  /** Stops it in its tracks (SIGSTOP): connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
}

/**
 * Starts a server on a free port of this machine; it does not outlive this process.
 *
 * @param settings  beside, or instead of, append-only file and noeviction: `{ maxmemory: "3mb" }`; or a port of one's choice
 */
export async function openRedis(program: ServerProgram, settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-redis-"));
  const port = Number(settings["port"] ?? (await freePort()));
  let server = await startProcess(program, dir, port, settings);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return server.pid;
    },
    stop: () => server.end("SIGTERM"),
    kill: () => server.end("SIGKILL"),
    start: async () => {
      server = await startProcess(program, dir, port, settings);
    },
    pause: () => server.signal("SIGSTOP"),
    resume: () => server.signal("SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      await server.end("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
