/** The same as a program on stock BullMQ. */
import { Worker } from "bullmq";

const connection = { url: process.env.REDIS_URL! };
const worker = new Worker("bench-0", async () => console.log(`${process.hrtime.bigint()} ${process.cpuUsage().user + process.cpuUsage().system}`), { connection, concurrency: 100 });
process.once("SIGTERM", () => void worker.close());
