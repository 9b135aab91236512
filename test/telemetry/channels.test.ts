import { channel } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { onTestFinished, expect, test } from "vitest";
import { defineHandler, defineJob, DeadLetter, typed } from "../../src/index.ts";
import { publish, type Events } from "../../src/telemetry/channels.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";

const source = readFileSync(new URL("../../src/telemetry/channels.ts", import.meta.url), "utf8");
const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const documented = [...source.matchAll(/^ \* \| `(millrace:[a-z:]+)`/gm)].map(([, name]) => name);
const declared = [...source.matchAll(/^ {2}readonly "(millrace:[a-z:]+)":/gm)].map(([, name]) => name);

test("every channel stands in the table, here and in the README", () => {
  expect(declared.length).toBeGreaterThan(5);
  expect(documented).toEqual(declared);
  for (const name of declared) expect(readme).toContain(`\`${name}\``);
});

test("an event that nobody has subscribed to is not made", () => {
  let made = 0;
  const make = () => ({ queue: "q", job: "j", id: String((made += 1)) });
  publish("millrace:job:put", make);
  expect(made).toBe(0);
  const heard = hear("millrace:job:put");
  publish("millrace:job:put", make);
  expect(heard).toEqual([{ queue: "q", job: "j", id: "1" }]);
});

test("a job is told from its put to its end, with the facts of its delivery", async () => {
  const job = defineJob("told", { queue: freshPrefix(), payload: typed<{ fail?: boolean }>(), attempts: 2, backoff: { type: "fixed", base: 10 } });
  const app = testApp();
  const queue = app.queue(job).name;
  const all = hearAll(queue);
  const handler = defineHandler(job, {
    async handle({ fail }, task) {
      if (fail === true) throw task.attempt === 1 ? new Error("once") : new DeadLetter("for good");
    },
  });
  const pool = app.pool([handler], { name: "teller" });
  const { id } = await app.put(job, {});
  await app.queue(job).join();
  const failing = await app.put(job, { fail: true });
  await failing.outcome();
  const delayed = await app.put(job, {}, { delay: "1h" });
  await delayed.cancel("not wanted");
  pool.quiet();
  pool.resume();
  await pool.stop();
  const first = { queue, job: "told", id, attempt: 1, fence: 1 };
  // A put is told when its producer hears that it is done, and the job may be begun by then.
  const puts = all.filter(([name]) => name === "millrace:job:put").map(([, event]) => event);
  expect(puts).toEqual([id, failing.id, delayed.id].map((each) => ({ queue, job: "told", id: each })));
  const others = all.filter(([name]) => name !== "millrace:job:put");
  expect(others.filter(([, event]) => "id" in event && event.id === id)).toEqual([
    ["millrace:delivery:started", { ...first, waitMs: expect.any(Number) }],
    ["millrace:delivery:ended", { ...first, outcome: "completed", runMs: expect.any(Number) }],
  ]);
  await until(() => all.some(([name]) => name === "millrace:job:dead"));
  expect(others.filter(([, event]) => "id" in event && event.id === failing.id).map(([name, event]) => [name, "outcome" in event ? event.outcome : "reason" in event ? event.reason : undefined])).toEqual([
    ["millrace:delivery:started", undefined],
    ["millrace:delivery:ended", "retried"],
    ["millrace:job:retried", "once"],
    ["millrace:delivery:started", undefined],
    ["millrace:delivery:ended", "failed"],
    ["millrace:job:dead", "for good"],
  ]);
  expect(all.filter(([name]) => name === "millrace:job:cancelled").map(([, event]) => event)).toEqual([expect.objectContaining({ id: delayed.id, reason: expect.stringContaining("not wanted") })]);
  expect(all.flatMap(([name, event]) => (name === "millrace:pool:state" && "pool" in event && event.pool === "teller" ? [event.state] : []))).toEqual(["ready", "quiet", "ready", "draining", "stopped"]);
});

function hear<N extends keyof Events>(name: N): Events[N][] {
  const heard: Events[N][] = [];
  const listen = (event: unknown): void => void heard.push(event as Events[N]);
  channel(name).subscribe(listen);
  onTestFinished(() => void channel(name).unsubscribe(listen));
  return heard;
}

type Told = { [N in keyof Events]: [name: N, event: Events[N]] }[keyof Events];

/** Everything, in order, of one queue and of what is not of any. */
function hearAll(queue: string): Told[] {
  const all: Told[] = [];
  for (const name of declared as (keyof Events)[]) {
    const listen = (event: unknown): void => {
      if ((event as { queue?: string }).queue === undefined || (event as { queue?: string }).queue === queue) all.push([name, event] as Told);
    };
    channel(name).subscribe(listen);
    onTestFinished(() => void channel(name).unsubscribe(listen));
  }
  return all;
}
