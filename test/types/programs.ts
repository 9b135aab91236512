/** Programs as users write them. Only the compiler reads this file: everything must be inferred, with no annotation. */
import { connect, DeadLetter, defineHandler, gather, range, RetryLater, taskGroup, timeout, type JobTypes, type Queue } from "millrace";
import { Queue as StockQueue, Worker } from "bullmq";
import { createMillraceBackend, fromProcessor } from "millrace/bullmq";
import * as j from "./jobs.ts";

const app = connect();

// An email later, from any web route.
const later = await app.put(j.welcome, { to: "a@b.ch" }, { delay: "1h" });
later.id satisfies string;
later.added satisfies boolean;
await app.put(j.reset, { to: "a@b.ch", at: "2026-01-01" });
await app.put(j.legacyWelcome, { to: "x" });

// No payload; one whose fields are all optional; one of any type.
await app.put(j.nightly);
await app.put(j.nightly, undefined, { runAt: new Date() });
await app.put(j.settings);
await app.put(j.settings, { theme: "dark" }, { priority: 3 });
await app.put(j.anything, 5);
await app.put(j.tree, { name: "root", children: [{ name: "leaf" }] });
await app.put(j.point, [1, 2]);

// Fan-out, fan-in with results.
const handles = await Promise.all(["https://a.ch", "https://b.ch"].map((url) => app.put(j.fetchPage, { url })));
const pages = await gather(handles);
pages[0]!.at satisfies Date;
const outcome = await handles[0]!.outcome({ timeout: "5s" });
if (outcome.state === "completed") outcome.result.bytes satisfies number;
if (outcome.state === "failed") outcome.error.attempts satisfies number;
if (outcome.state === "cancelled") outcome.reason satisfies string;
if (outcome.state !== "completed" && outcome.state !== "failed" && outcome.state !== "cancelled") outcome satisfies { readonly state: "removed" | "unknown" };

// Following, and cancelling, from anywhere; limits in time.
const resizing = await app.put(j.resize, { path: "a.png", width: 5 }, { deadline: "1h", expireAt: new Date(), timeout: 500 });
for await (const { percent } of resizing.progress({ timeout: "5s" })) percent satisfies number;
for await (const done of app.queue(j.nightly).job("some-id").progress()) done satisfies number;
(await resizing.cancel("user asked")) satisfies boolean;
(await app.queue(j.resize).cancel("some-id")) satisfies boolean;
if ((await resizing.state()) === "cancelled") await app.queue(j.resize).job(resizing.id).cancel();
const item = j.welcome.item({ to: "x@y.ch" });
item.payload.name satisfies string | undefined;
j.nightly.item();

// A handler without a payload or a result.
export const nightly = defineHandler(j.nightly, {
  async handle(_, task) {
    task.log.info("tick", { at: task.scheduledAt });
    await task.progress(50);
  },
});

// CSV with backpressure.
async function* rows() {
  for (let line = 0; line < 10; line += 1) yield { line, cells: ["a"] };
}
(await app.queue(j.row).putMany(rows(), { id: (row) => `import-7-${row.line}` })) satisfies number;

// The schema's output reaches the handler; its result is the result schema's input.
export const reset = defineHandler(j.reset, {
  async handle({ at }) {
    at satisfies Date;
  },
});
export const fetchPage = defineHandler(j.fetchPage, {
  concurrency: 20,
  handle: async ({ url }, { attempt, signal, fence, deadline }) => {
    fence satisfies string;
    deadline satisfies Date | undefined;
    const response = await fetch(url, { signal });
    return { bytes: attempt, at: response.headers.get("date") ?? "" };
  },
});
export const resize = defineHandler(j.resize, {
  async handle(payload, task) {
    await task.progress({ percent: 5 });
    return { path: payload.path };
  },
});
export const point = defineHandler(j.point, {
  async handle([x, y, label]) {
    return { [label ?? "sum"]: x + y };
  },
});

// A webhook that steers by what it throws.
export const webhook = defineHandler(j.webhook, {
  concurrency: 50,
  async handle(payload, task) {
    const response = await fetch(payload.url, { method: "POST", body: JSON.stringify(payload.body), signal: task.signal });
    if (response.status === 429) throw new RetryLater("30s");
    if (response.status >= 400 && response.status < 500) throw new DeadLetter(`HTTP ${response.status}`);
    return { status: response.status };
  },
});

// A worker of handlers of several types.
await using pool = app.pool([webhook, resize, nightly, fetchPage, reset, point, fromProcessor("emails", async (job) => ({ to: job.data.to }))]);
for (const stuck of pool.stuck) console.log(stuck.id, stuck.name, stuck.queue, stuck.since.toISOString());
await pool.cancel();

// Producers and consumers, as in the article.
async function produce<T extends JobTypes>(queue: Queue<T>, ...args: Parameters<Queue<T>["put"]>) {
  await queue.put(...args);
}
const queue = app.queue(j.row);
await produce(queue, { line: 1, cells: [] });
await using pool2 = app.pool([defineHandler(j.row, { async handle(payload) { console.log("Consumed", payload.line); } })], { concurrency: 2 });
await gather(range(3).map((n) => async () => {
  for (const line of range(5)) await queue.put({ line, cells: [`${n}`] });
}));
await queue.join();
await pool2.cancel();
for await (const delivery of queue.deliveries()) {
  await using held = delivery;
  held.payload.line satisfies number;
  await held.ack();
}
await timeout("5s", (signal) => fetch("https://a.ch", { signal }));
await taskGroup(async (group) => {
  const task = group.spawn(async () => 1);
  (await task) satisfies number;
});
const settled = await gather([Promise.resolve(1), async () => "x"], { errors: "collect" });
settled[1] satisfies PromiseSettledResult<string>;

// BullMQ's own Queue and Worker, batched.
const connection = { host: "localhost", port: 6379 };
const stockQueue = new StockQueue<{ to: string }>("emails", { connection }, createMillraceBackend);
await stockQueue.add("welcome", { to: "a@b.ch" });
const stockWorker = new Worker("emails", async (job) => job.id, { connection, concurrency: 100 }, createMillraceBackend);
stockWorker.getBackend().counts.batches satisfies number;
