/** `npm run test:bullmq-suite -- CHECKOUT`: BullMQ's own tests, first on its own backend, then on our drop-in made from its sources. */
import { createConnection } from "node:net";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureServer } from "../../src/redis/server.ts";
import { freePort, startProcess } from "../support/redis-process.ts";
import { openCheckout, type Checkout } from "./checkout.ts";
import { lostTests, merged, table } from "./verdict.ts";

const usage = `npm run test:bullmq-suite -- CHECKOUT [FILE...]

  CHECKOUT  a checkout of https://github.com/taskforcesh/bullmq; it is copied, and stays as it is
  FILE      only files whose path has this in it; without, all that its backends share

Needs npm and a Redis server on the PATH; takes half an hour. Ends with 0 when what passes on BullMQ's own backend passes on the
drop-in as well, 5 when something does not, 2 when it does not understand.`;

const EXIT = { usage: 2, findings: 5 } as const;
/** Where some of the tests look for a server, whatever they are told. */
const USUAL_PORT = 6379;

/** For what passes on stock and not on the drop-in. */
const TRIES_MORE = 2;

const { positionals, values } = parseArgs({ allowPositionals: true, options: { help: { type: "boolean", default: false } } });
const [path, ...files] = positionals;
if (values.help || path === undefined) {
  console.log(usage);
  if (!values.help) process.exitCode = EXIT.usage;
} else {
  await using checkout = await openCheckout(path);
  console.log(`BullMQ ${checkout.version}`);
  const stock = await played(checkout, "stock", files);
  const ours = await played(checkout, "drop-in", files);
  // Many tests hold limits in time of some milliseconds: on a machine that is shared, not the same ones fail twice.
  let run = ours.run;
  for (let again = 0; again < TRIES_MORE && lostTests(stock.run, run).length > 0; again += 1) {
    const lost = lostTests(stock.run, run);
    for (const { file, test } of lost) console.log(`tried again: ${file}: ${test}`);
    run = merged(run, (await played(checkout, "drop-in", [...new Set(lost.map(({ file }) => file))])).run);
  }
  console.log(table(stock.run, run, ours.counts));
  const lost = lostTests(stock.run, run);
  const sum = (of: "passed" | "failed"): number => [...stock.run.values()].reduce((total, run) => total + run[of].size, 0);
  console.log(`\n${sum("failed")} fail on stock; ${lost.length} pass on stock and not on the drop-in`);
  for (const { file, test } of lost) console.log(`  ${file}: ${test}`);
  if (lost.length > 0 || sum("passed") === 0) process.exitCode = EXIT.findings;
}

/** Each on a server of its own. */
async function played(checkout: Checkout, backend: "stock" | "drop-in", filters: readonly string[]): ReturnType<Checkout["run"]> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-bullmq-redis-"));
  const port = (await isTaken(USUAL_PORT)) ? await freePort() : USUAL_PORT;
  const { path: program } = await ensureServer(console.log);
  const server = await startProcess(program, dir, port, { appendonly: "no" });
  try {
    return await checkout.run(backend, port, filters);
  } finally {
    await server.end("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}

async function isTaken(port: number): Promise<boolean> {
  const socket = createConnection(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
