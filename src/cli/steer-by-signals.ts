/** Signals that steer a worker, and its supervisor, besides those that end it. */
import type { Steer } from "../pool/supervision.ts";

/** As Sidekiq has them, and the shell: Ctrl-Z quiets, `fg` lets it go on. */
const ORDERS = { SIGTSTP: "quiet", SIGCONT: "resume", SIGUSR2: "dump" } as const satisfies Partial<Record<NodeJS.Signals, Steer["order"]>>;
export type SteeringSignal = keyof typeof ORDERS;

/** Until it is disposed of. */
export function steerBySignals(onSteer: (steer: Steer, by: SteeringSignal) => void): Disposable {
  const listener = (signal: SteeringSignal): void => onSteer({ order: ORDERS[signal] }, signal);
  const signals = Object.keys(ORDERS) as SteeringSignal[];
  for (const signal of signals) process.on(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, listener);
    },
  };
}
