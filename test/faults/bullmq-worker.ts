/** A worker process of stock BullMQ, with the graceful shutdown that its documentation shows. */
import { Worker } from "bullmq";
import { stockConnection } from "./bullmq.ts";
import { ledgerOfProcess } from "./ledger-of-process.ts";
import { perform, type Done, type Work } from "./work.ts";

const { REDIS_URL = "", FAULTS_CONCURRENCY } = process.env;
const { ledger, earlier } = ledgerOfProcess();

const worker = new Worker<Work, Done>(
  "work",
  (job, _token, signal) => perform(job.data, { id: job.id ?? "", fence: job.attemptsStarted, attempt: job.attemptsMade + 1, signal }, ledger, earlier),
  { ...stockConnection(REDIS_URL), concurrency: Number(FAULTS_CONCURRENCY) },
);
worker.on("error", (error) => console.error(error.message));
const shutDown = async (): Promise<void> => {
  await worker.close();
  process.exit(0);
};
process.on("SIGINT", () => void shutDown()).on("SIGTERM", () => void shutDown());
await worker.waitUntilReady();
console.log('{"event":"ready"}');
