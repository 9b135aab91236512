import { onTestFinished, test } from "vitest";
import { instant } from "../../src/concurrency/thread-clock.ts";
import { LeaseRenewal, type RenewalOptions } from "../../src/queue/lease-renewal.ts";
import { LeaseTable } from "../../src/queue/lease-table.ts";
import { extendLeases } from "../../src/store/extend.ts";
import { newJob, openQueue, putAll, consumerOf } from "../store/opened-queue.ts";
import { until } from "../support/app.ts";

/** One job, renewed in this thread; its lease has two seconds left. */
async function renewing(options: Pick<RenewalOptions, "aliveAt" | "silenceMs">, leaseMs = 2000) {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  const [leased] = await consumerOf(queue).reserver.take(1);
  const renewal = new LeaseRenewal({ connect: async () => ({ keys, leaseMs }, leases) => extendLeases({ client: queue.client, keys }, leases, leaseMs), onLost: () => {}, onFailure: () => {}, ...options });
  onTestFinished(() => renewal[Symbol.dispose]());
  renewal.addQueue({ keys: queue.keys, name: queue.name, prefix: queue.prefix, leaseMs });
  const table = new LeaseTable((sheet) => renewal.addSheet(sheet));
  const kept = table.keep(1, leased!, instant(), undefined);
  const left = (): Promise<number> => queue.client.pttl(`${queue.keys.base}a:lock`);
  await queue.client.pexpire(`${queue.keys.base}a:lock`, 2000);
  return { kept, left };
}

test("without a sign of life for too long it renews nothing, and with one it begins again", async () => {
  let alive = instant();
  const { left } = await renewing({ aliveAt: () => alive, silenceMs: 1000 });
  await until(async () => (await left()) < 0);
  alive = Infinity;
  await until(async () => (await left()) > 0);
});

test("past the end that a delivery was given it renews no more", async () => {
  const { kept, left } = await renewing({ aliveAt: instant });
  kept.endAt(instant() + 100);
  await until(async () => (await left()) < 0);
  // Its handler has ended, and what became of it is still to be settled.
  kept.endAt(Infinity);
  await until(async () => (await left()) > 0);
});

test.each([
  // A machine that slept: its monotonic clock may not know.
  ["its machine slept", (): void => setClockOfDay((now) => now + 60_000)],
  // A process that was stopped, and whose clock of the day was set back meanwhile.
  ["its process was stopped", (): void => (setClockOfDay((now) => now - 60_000), void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500))],
])("after a time in which %s it renews at once, however lately that was due", async (_, gap) => {
  // By itself it would renew after a quarter of an hour.
  const { left } = await renewing({ aliveAt: instant }, 3_600_000);
  gap();
  await until(async () => (await left()) > 3_000_000);
});

function setClockOfDay(by: (now: number) => number): void {
  const { now } = Date;
  onTestFinished(() => void (Date.now = now));
  Date.now = () => by(now());
}
