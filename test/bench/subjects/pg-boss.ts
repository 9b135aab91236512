/** pg-boss, by batches: what its documentation gives a queue that is never empty. */
import { PgBoss } from "pg-boss";
import { chunks, type Payload, settings, type Subject } from "../subject.ts";

export const pgBoss: Subject = {
  store: "postgres",
  notes: "batchSize as many as there are slots, burstWhenBatchFull; a batch is acknowledged as a whole, one failure fails it; many jobs by insert, 1000 at a time; completed jobs stay for seven days",
  async open(url, { queues, slots }) {
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
    boss.on("error", (error) => console.error(`pg-boss: ${error.message}`));
    await boss.start();
    const retries = { retryLimit: settings.attempts - 1, retryDelay: settings.backoffBaseMs / 1000, retryBackoff: true };
    for (const queue of queues) if ((await boss.getQueue(queue)) === null) await boss.createQueue(queue, { ...retries, expireInSeconds: settings.leaseMs / 1000 });
    return {
      put: (data) => boss.send(queues[0]!, data),
      async putMany(payloads) {
        for (const queue of queues) {
          for (const chunk of chunks(payloads())) await boss.insert(queue, chunk.map((data) => ({ data })));
        }
      },
      async consume(handle) {
        const batchSize = Math.ceil(slots / queues.length);
        for (const queue of queues) {
          await boss.work<Payload>(queue, { batchSize, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => {
            await Promise.all(jobs.map(({ data }) => handle(data)));
          });
        }
      },
      close: () => boss.stop({ graceful: true }),
    };
  },
  async count(url, queues) {
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
    await boss.start();
    const sql = "SELECT state::text, count(*)::int FROM pgboss.job WHERE name = ANY($1) GROUP BY state";
    const { rows } = (await boss.getDb().executeSql(sql, [queues])) as { rows: { state: string; count: number }[] };
    await boss.stop();
    const of = (...states: string[]): number => rows.filter(({ state }) => states.includes(state)).reduce((sum, { count }) => sum + count, 0);
    return { waiting: of("created", "retry"), active: of("active"), failed: of("failed", "cancelled") };
  },
};
