/** F15: a server that throws keys away, one that keeps nothing, and a job whose payload is gone. */
import { Redis } from "ioredis";
import { scenario } from "../scenario.ts";

export const f15 = scenario({
  row: "F15",
  title: "eviction policy on, nothing persisted, payload missing",
  targets: {
    taken: { label: "puts that a server took that evicts", atMost: 0 },
    ran: { label: "workers that ran on it", atMost: 0 },
    unwarned: { label: "processes that said nothing of a server that persists nothing", atMost: 0 },
    ranEmpty: { label: "jobs run without their payload", atMost: 0 },
    notFailed: { label: "of them not failed", atMost: 0 },
  },
  mostPhases: 1,
  quick: true,
  async play(stage) {
    const fit = await stage.redis();
    const evicting = await stage.redis({ "maxmemory-policy": "allkeys-lru", maxmemory: "100mb" });
    const forgetting = await stage.redis({ appendonly: "no" });

    const works = stage.works(1, "sleep", [10]);
    await (await stage.producer(evicting.url)).put(works);
    const taken = stage.did("acknowledged").length;
    const refused = stage.unreadyWorker(evicting.url);
    await stage.comesTrue(() => refused.isOver, 10_000);

    const worker = await stage.worker(forgetting.url);
    await stage.comesTrue(() => /persist/.test(worker.said), 5000);

    const producer = await stage.producer(fit.url);
    const [emptied] = stage.works(1, "sleep", [10]);
    await producer.put([emptied!]);
    const id = stage.did("acknowledged").at(-1)!.id!;
    const client = new Redis(fit.url);
    await client.hdel(`bull:work:${id}`, "data");
    const runner = await stage.worker(fit.url);
    const isOver = async (): Promise<boolean> => (await client.zscore("bull:work:failed", id)) !== null || (await client.zscore("bull:work:completed", id)) !== null;
    await stage.comesTrue(isOver, 20_000);
    const isFailed = (await client.zscore("bull:work:failed", id)) !== null;
    const ranEmpty = stage.did("started").filter(({ pid }) => pid === runner.pid).length;
    client.disconnect();
    return { taken, ran: refused.isOver ? 0 : 1, unwarned: /persist/.test(worker.said) ? 0 : 1, ranEmpty, notFailed: isFailed ? 0 : 1 };
  },
});
