/** Fills two queues for `npm run bench -- lists`: one whose jobs wait, and one of dead letters. */
import { Redis } from "ioredis";
import { type App, connect, defineHandler, sleep } from "millrace";
import { connectOperator, listWorkers } from "millrace/admin";
import { defineJob, typed } from "millrace/job";
import { type Payload, payload } from "./subject.ts";

export const WAITING = "mail";
export const DEAD = "post";
/** Of the jobs that wait, one of so many has another name. */
export const RARE = 10;
export const ERRORS = 300;
const PAYLOAD_BYTES = 200;
const CHUNK = 1000;

/** A stack as a handler's is: some of it ours, most of it a library's. */
const FRAMES = `
    at connect (/srv/app/node_modules/mailer/lib/socket.js:212:17)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)
    at async deliver (/srv/app/node_modules/mailer/lib/smtp.js:88:5)
    at async Object.handle (/srv/app/workers/post.ts:14:20)`;

/** The dead letters' error number `kind`; each names its job's number too, which groups leave out. */
export function errorOf(kind: number, job: number): string {
  return `${["connect ECONNREFUSED", "read ETIMEDOUT", "expected a mailbox"][kind % 3]} of host ${"abcdefghij"[Math.floor(kind / 30) % 10]}${"klmnopqrst"[Math.floor(kind / 3) % 10]}: try ${job}`;
}

/** Puts all as a producer would, then lets the jobs of one queue fail, which a worker had that is gone. @param jobs  of each queue, in thousands */
export async function fillLists(url: string, jobs: number): Promise<void> {
  await using app = connect({ redis: url });
  const queueOf = (name: string, queue: string) => app.queue(defineJob(name, { queue, payload: typed<Payload>() }));
  await letConsume(app, url);
  const [sends, reminds] = [queueOf("send", WAITING), queueOf("remind", WAITING)];
  // In turns, so that the rare ones stand everywhere.
  for (let put = 0; put < jobs; put += CHUNK) {
    await sends.putMany(payloads(CHUNK - CHUNK / RARE));
    await reminds.putMany(payloads(CHUNK / RARE));
  }
  await queueOf("send", DEAD).putMany(payloads(jobs));
  await letFail(url);
}

/** A worker begins with the queue of dead letters while that is empty, and ends. */
async function letConsume(app: App, url: string): Promise<void> {
  const pool = app.pool([defineHandler(defineJob("send", { queue: DEAD, payload: typed<Payload>() }), { handle: async () => {} })]);
  await using operator = connectOperator({ redis: url });
  while ((await listWorkers(operator)).length === 0) await sleep(20);
  await pool.stop();
}

function* payloads(count: number): Generator<Payload> {
  for (let made = 0; made < count; made += 1) yield payload(PAYLOAD_BYTES);
}

/** All that waits to be a dead letter fails. */
export async function letFail(url: string): Promise<void> {
  const redis = new Redis(url);
  try {
    const base = `bull:${DEAD}:`;
    const jobs = await redis.llen(`${base}wait`);
    for (let failed = 0; failed < jobs; failed += CHUNK) {
      const errors = Array.from({ length: Math.min(CHUNK, jobs - failed) }, (_, i) => errorOf((failed + i) % ERRORS, failed + i));
      await redis.eval(FAIL, 2, `${base}wait`, `${base}failed`, base, FRAMES, ...errors);
    }
  } finally {
    redis.disconnect();
  }
}

/**
 * KEYS  wait, failed
 * ARGV  base, what a stack is below its first line, error…
 *
 * As a worker leaves them that tried each of them three times: what a million deliveries would do in minutes.
 */
const FAIL = `
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 3, #ARGV do
  local id = redis.call('RPOP', KEYS[1])
  local stack = 'Error: ' .. ARGV[i] .. ARGV[2]
  redis.call('HSET', ARGV[1] .. id, 'atm', 3, 'ats', 3, 'processedOn', at - 20, 'finishedOn', at, 'failedReason', ARGV[i], 'stacktrace', cjson.encode({stack, stack, stack}))
  redis.call('ZADD', KEYS[2], at, id)
end
return 1
`;
