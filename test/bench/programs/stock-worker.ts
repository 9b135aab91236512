/** The same as a program on stock BullMQ. */
import { Worker } from "bullmq";
import { nowUs } from "../subject.ts";

const worker = new Worker("bench-0", async () => console.log(nowUs()), { connection: { url: process.env.REDIS_URL! }, concurrency: 100 });
process.once("SIGTERM", () => void worker.close());
