import { onTestFinished, expect, test } from "vitest";
import { publish } from "../../src/telemetry/channels.ts";
import { openMetrics, scrape, type MetricsSource } from "../../src/telemetry/prometheus.ts";

const idle: MetricsSource = { worker: () => ({ running: 0, stuck: 0, ready: true, redis: true }), queues: async () => [] };

async function opened() {
  const metrics = await openMetrics(idle);
  onTestFinished(() => metrics[Symbol.dispose]());
  return metrics;
}

test("beyond two hundred names the rest is one, however many there are", async () => {
  const metrics = await opened();
  for (let i = 0; i < 1000; i += 1) publish("millrace:job:put", () => ({ queue: `q${i % 7}`, job: `name-${i}`, id: "a" }));
  const { values } = (await metrics.data()).find(({ name }) => name === "millrace_jobs_put_total")!;
  expect(values).toHaveLength(200 + 7);
  expect(values.filter(({ labels }) => labels["job"] === "other").reduce((sum, { value }) => sum + value, 0)).toBe(800);
});

test("every metric has a name with its unit, and every counter ends in total", async () => {
  const metrics = await opened();
  publish("millrace:loop:blocked", () => ({ blockedMs: 1500, tasks: [] }));
  const own = (await metrics.data()).filter(({ name }) => name.startsWith("millrace_"));
  for (const { name, type } of own as unknown as { name: string; type: string }[]) {
    if (type === "counter") expect(name).toMatch(/_total$/);
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
    if (type === "gauge") expect(name).not.toMatch(/_total$/);
  }
  expect(own.find(({ name }) => name.includes("blocked"))?.values).toMatchObject([{ value: 1.5 }]);
});

test("who does not answer is told as not up, beside those that do", async () => {
  const metrics = await opened();
  publish("millrace:job:put", () => ({ queue: "q", job: "j", id: "a" }));
  const { body } = await scrape([{ worker: "1", data: await metrics.data() }, { worker: "2", data: undefined }]);
  expect(body).toContain('millrace_worker_up{worker="1"} 1');
  expect(body).toContain('millrace_worker_up{worker="2"} 0');
  expect(body).toContain('millrace_jobs_put_total{worker="1",queue="q",job="j"} 1');
});

test("listens no longer once it is disposed of", async () => {
  const metrics = await openMetrics(idle);
  metrics[Symbol.dispose]();
  let made = 0;
  publish("millrace:job:put", () => ((made += 1), { queue: "q", job: "j", id: "a" }));
  expect(made).toBe(0);
});
