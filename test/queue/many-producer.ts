/** Puts many jobs and prints by how much its memory grew meanwhile, in MiB, as one line of JSON. */
import { connect, defineJob, defineQueue, typed } from "../../src/index.ts";

const { REDIS_URL = "", PREFIX = "", COUNT = "0", PAYLOAD_BYTES = "100", PARTITIONS = "1" } = process.env;
await using app = connect({ redis: REDIS_URL, prefix: PREFIX });
const job = defineJob("many", { queue: defineQueue("many", { partitions: Number(PARTITIONS) }), payload: typed<{ n: number; text: string }>() });
const count = Number(COUNT);
const text = "x".repeat(Number(PAYLOAD_BYTES));
let most = 0;
let base = 0;

async function* payloads(): AsyncGenerator<{ n: number; text: string }> {
  for (let n = 0; n < count; n += 1) {
    if (n % 500 === 0) most = Math.max(most, process.memoryUsage().rss);
    // By then everything is loaded and compiled.
    if (n === Math.floor(count / 10)) base = most;
    yield { n, text };
  }
}

const startedAt = performance.now();
const added = await app.queue(job).putMany(payloads());
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ added, grewMiB: (most - base) / 2 ** 20, rssMiB: most / 2 ** 20, seconds }));
