/** graphile-worker, with the batching of its documentation's chapter on performance. */
import { Logger, makeWorkerUtils, run, type Runner } from "graphile-worker";
import { chunks, type Payload, settings, type Subject } from "../subject.ts";

const logger = new Logger(() => () => {});

export const graphileWorker: Subject = {
  store: "postgres",
  notes:
    "localQueue of 500 jobs, fetched and locked at once, completions batched, 25 connections, as in its chapter on performance; many jobs by addJobs, 1000 at a time; completed jobs are always removed; a dead worker's jobs stay locked for 4 h",
  async open(url, { queues, slots }) {
    const utils = await makeWorkerUtils({ connectionString: url, logger });
    await utils.migrate();
    const maxAttempts = settings.attempts;
    let runner: Runner | undefined;
    return {
      put: (data) => utils.addJob(queues[0]!, data, { maxAttempts }),
      async putMany(payloads) {
        for (const identifier of queues) {
          for (const chunk of chunks(payloads())) await utils.addJobs(chunk.map((data) => ({ identifier, payload: data, maxAttempts })));
        }
      },
      async consume(handle) {
        const task = async (data: unknown): Promise<void> => handle(data as Payload);
        runner = await run({
          taskList: Object.fromEntries(queues.map((name) => [name, task])),
          preset: {
            worker: {
              connectionString: url,
              logger,
              concurrentJobs: slots,
              maxPoolSize: 25,
              localQueue: { size: 500 },
              completeJobBatchDelay: 0,
              failJobBatchDelay: 0,
              useNodeTime: false,
            },
          },
        });
      },
      async close() {
        await runner?.stop();
        await utils.release();
      },
    };
  },
  async count(url, queues) {
    const utils = await makeWorkerUtils({ connectionString: url, logger });
    const sql = `SELECT count(*) FILTER (WHERE locked_at IS NULL AND attempts < max_attempts)::int AS waiting,
      count(*) FILTER (WHERE locked_at IS NOT NULL)::int AS active,
      count(*) FILTER (WHERE locked_at IS NULL AND attempts >= max_attempts)::int AS failed
      FROM graphile_worker.jobs WHERE task_identifier = ANY($1)`;
    const { rows } = await utils.withPgClient((client) => client.query<{ waiting: number; active: number; failed: number }>(sql, [queues]));
    await utils.release();
    return rows[0]!;
  },
};
