/**
 * What Millrace tells on `node:diagnostics_channel`, to whoever subscribes in this process. An event that nobody has
 * subscribed to is not made.
 *
 * | channel                      | when                                                 | fields                                  |
 * | ---------------------------- | ---------------------------------------------------- | --------------------------------------- |
 * | `millrace:job:put`           | Redis has acknowledged a new job                     | job                                     |
 * | `millrace:delivery:started`  | a delivery begins here                               | delivery, `waitMs`                      |
 * | `millrace:delivery:ended`    | Redis has acknowledged its end, or its lease is lost | delivery, `outcome`, `runMs`            |
 * | `millrace:job:retried`       | its attempt failed, and it is tried again            | delivery, `reason`, `delayMs`           |
 * | `millrace:job:dead`          | it failed for good: a dead letter                    | delivery, `reason`                      |
 * | `millrace:job:cancelled`     | it ended as cancelled                                | delivery, `reason`                      |
 * | `millrace:job:recovered`     | it was taken from a worker that was lost             | delivery, `worker`, `crashes`           |
 * | `millrace:lease:lost`        | a task was told that its job is somebody else's      | delivery                                |
 * | `millrace:handler:stuck`     | a handler ignores its signal, and runs on            | delivery                                |
 * | `millrace:loop:blocked`      | the event loop turns again, after a second or more   | `blockedMs`, `tasks`                    |
 * | `millrace:pool:state`        | a pool is `ready`, `quiet`, `draining` or `stopped`  | `pool`, `state`                         |
 *
 * "job" stands for `queue`, `job` (its name), `id`; "delivery" for those and `attempt` (1 is the first) and `fence`.
 * `waitMs` is how long it was ready before it began, by the server's clock, of a first delivery only; `runMs` how long its
 * task ran. `outcome` is `completed`, `failed` (for good), `retried`, `cancelled`, `released` (given back) or `lost` (its lease
 * had passed on). `worker` is the name of who held it, where that is known; `crashes` how many workers it has lost; `tasks`
 * name who may have blocked the loop. What ends in `Ms` is in milliseconds.
 */
import { channel, type Channel } from "node:diagnostics_channel";

export interface JobFacts {
  readonly queue: string;
  readonly job: string;
  readonly id: string;
}

export interface DeliveryFacts extends JobFacts {
  readonly attempt: number;
  readonly fence: number;
}

export type Outcome = "completed" | "failed" | "retried" | "cancelled" | "released" | "lost";

/** The events by their channel. */
export interface Events {
  readonly "millrace:job:put": JobFacts;
  readonly "millrace:delivery:started": DeliveryFacts & { readonly waitMs: number | undefined };
  readonly "millrace:delivery:ended": DeliveryFacts & { readonly outcome: Outcome; readonly runMs: number | undefined };
  readonly "millrace:job:retried": DeliveryFacts & { readonly reason: string; readonly delayMs: number };
  readonly "millrace:job:dead": DeliveryFacts & { readonly reason: string };
  readonly "millrace:job:cancelled": DeliveryFacts & { readonly reason: string };
  readonly "millrace:job:recovered": DeliveryFacts & { readonly worker: string | undefined; readonly crashes: number };
  readonly "millrace:lease:lost": DeliveryFacts;
  readonly "millrace:handler:stuck": DeliveryFacts;
  readonly "millrace:loop:blocked": { readonly blockedMs: number; readonly tasks: readonly string[] };
  readonly "millrace:pool:state": { readonly pool: string; readonly state: string };
}

const channels: { readonly [N in keyof Events]: Channel } = {
  "millrace:job:put": channel("millrace:job:put"),
  "millrace:delivery:started": channel("millrace:delivery:started"),
  "millrace:delivery:ended": channel("millrace:delivery:ended"),
  "millrace:job:retried": channel("millrace:job:retried"),
  "millrace:job:dead": channel("millrace:job:dead"),
  "millrace:job:cancelled": channel("millrace:job:cancelled"),
  "millrace:job:recovered": channel("millrace:job:recovered"),
  "millrace:lease:lost": channel("millrace:lease:lost"),
  "millrace:handler:stuck": channel("millrace:handler:stuck"),
  "millrace:loop:blocked": channel("millrace:loop:blocked"),
  "millrace:pool:state": channel("millrace:pool:state"),
};

/** A delivery, as it is reserved. */
export interface Delivered {
  readonly job: { readonly id: string; readonly name: string; readonly attemptsMade: number };
  readonly fence: number;
}

export function deliveryFacts(queue: string, { job, fence }: Delivered): DeliveryFacts {
  return { queue, job: job.name, id: job.id, attempt: job.attemptsMade + 1, fence };
}

/** @returns what ends it */
export function listen<N extends keyof Events>(name: N, listener: (event: Events[N]) => void): () => void {
  const hear = (event: unknown): void => listener(event as Events[N]);
  channels[name].subscribe(hear);
  return () => void channels[name].unsubscribe(hear);
}

/** @param make  called when somebody hears it */
export function publish<N extends keyof Events>(name: N, make: () => Events[N]): void {
  const channel = channels[name];
  if (channel.hasSubscribers) channel.publish(make());
}
