/** A worker process that a test blocks, stops or kills. Its handlers do as their payloads say, and print what happens. */
import { connect, defineHandler, defineJob, sleep, typed, type Duration } from "../../src/index.ts";

export interface Deed {
  /** Blocks the event loop, waits until the signal fires, ends the process, or returns, after `ms`. */
  readonly deed: "block" | "wait" | "die" | "return";
  readonly ms?: number;
}

export interface Told {
  readonly event: "start" | "end" | "abort";
  readonly id: string;
  readonly attempt: number;
  readonly fence: number;
  readonly at: number;
  /** Tasks that this process runs at that moment. */
  readonly running: number;
  /** Of what fired the signal. */
  readonly code?: string;
}

const { REDIS_URL = "", PREFIX = "", OPTIONS = "{}" } = process.env;
const job = defineJob("work", { payload: typed<Deed>(), attempts: 5, backoff: { type: "fixed", base: 0 } });
let running = 0;

const handler = defineHandler(job, {
  async handle({ deed, ms = 0 }, { id, attempt, fence, signal }) {
    running += 1;
    const tell = (event: Told["event"], code?: string): void => {
      const told: Told = { event, id, attempt, fence: Number(fence), at: Date.now(), running, ...(code !== undefined && { code }) };
      console.log(JSON.stringify(told));
    };
    tell("start");
    signal.addEventListener("abort", () => tell("abort", (signal.reason as { readonly code?: string }).code));
    if (deed === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    else if (deed === "wait") await sleep(600_000, { signal }).catch(() => {});
    else await sleep(ms);
    if (deed === "die") process.kill(process.pid, "SIGKILL");
    tell("end");
    running -= 1;
  },
});

const app = connect({ redis: REDIS_URL, prefix: PREFIX });
app.pool([handler], JSON.parse(OPTIONS) as { readonly lease?: Duration });
