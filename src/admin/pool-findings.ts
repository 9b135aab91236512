/** What may be wrong with a running pool. */
import { typed, type Finding, type Look } from "./finding.ts";

/** What a pool tells of itself, as far as it is looked at here. */
export interface PoolLook {
  readonly id: string;
  readonly name: string;
  readonly stuck: number;
  /** Without one nobody replaces it. */
  readonly supervisor: number | null;
  readonly loopDelayMs: { readonly p99: number; readonly max: number };
  readonly host: string;
  /** Of an older Millrace it is not known. */
  readonly clockOffMs?: number;
}

/** A heartbeat or a lease that waits so long is no longer harmless. */
const BLOCKED_MS = { p99: 250, max: 1000 };
/** As the clock of an operator's machine is judged. */
const CLOCK_MS = 1000;

export function poolFindings(look: PoolLook): Finding[] {
  return [blocking, deaf, clock].flatMap((find) => find(look) ?? []);
}

export const blocking: Look<PoolLook> = ({ id, name, loopDelayMs }) => {
  const { p99, max } = loopDelayMs;
  if (p99 < BLOCKED_MS.p99 && max < BLOCKED_MS.max) return undefined;
  return {
    finding: "blocking",
    severity: "warning",
    subject: `worker ${name}`,
    message: `its event loop is held up for ${Math.round(max)} ms at once: other tasks of the process wait meanwhile`,
    evidence: { worker: id, loopDelayMs },
    remedy: `millrace worker profile ${typed(id)} --seconds 10; run what computes in threads`,
  };
};

export const deaf: Look<PoolLook> = ({ id, name, stuck, supervisor }) => {
  if (stuck === 0) return undefined;
  return {
    finding: "deaf",
    severity: "warning",
    subject: `worker ${name}`,
    message: `${stuck === 1 ? "a handler ignores its signal and runs on" : `${stuck} handlers ignore their signal and run on`}: only the end of the process ends that`,
    evidence: { worker: id, stuck },
    remedy: `millrace worker dump ${typed(id)}, then millrace worker ${supervisor === null ? "stop" : "restart"} ${typed(id)}`,
  };
};

export const clock: Look<PoolLook> = ({ id, name, host, clockOffMs = 0 }) => {
  if (Math.abs(clockOffMs) <= CLOCK_MS) return undefined;
  const by = `${(Math.abs(clockOffMs) / 1000).toFixed(1)} s`;
  return {
    finding: "clock",
    severity: "warning",
    subject: `worker ${name}`,
    message: `the clock of its machine is ${by} ${clockOffMs > 0 ? "behind" : "ahead of"} the server's: its logs tell other times, and so do the delays of stock BullMQ there`,
    evidence: { worker: id, host, clockOffMs },
    remedy: `timedatectl, on ${host}: let it be synchronised`,
  };
};
