/**
 * A small application of BullMQ's, as teams have them: a mail server that is at times down, a newsletter as a flow, a digest
 * that comes again and again. It knows nothing of Millrace.
 */
import { createRedisBackend, DelayedError, FlowProducer, Queue, UnrecoverableError, type BackendFactory, type Job, type QueueOptions, type RedisQueueBackend } from "bullmq";

export interface Mail {
  readonly to: string;
  /** How often the mail server refuses it first. */
  readonly refusals?: number;
}

export interface Outbox {
  /** `what to`, for every mail that went out. */
  readonly sent: string[];
}

/** The web side: puts mails, a newsletter, and a digest. */
export class Mailer {
  readonly queue: Queue;
  readonly #flows: FlowProducer;

  constructor(settings: QueueOptions, factory: BackendFactory<RedisQueueBackend> = createRedisBackend) {
    this.queue = new Queue("mail", { ...settings, defaultJobOptions: { attempts: 5, backoff: { type: "exponential", delay: 5 }, removeOnComplete: { count: 5000 } } }, factory);
    this.#flows = new FlowProducer(settings);
  }

  welcome(mails: readonly Mail[]): Promise<unknown> {
    return Promise.all(mails.map((mail) => this.queue.add("welcome", mail, { jobId: `welcome-${mail.to}` })));
  }

  /** The editor is told when every reader has it. */
  newsletter(issue: number, readers: readonly string[]): Promise<unknown> {
    const children = readers.map((to) => ({ name: "issue", queueName: "mail", data: { to }, opts: { attempts: 5, backoff: 5 } }));
    return this.#flows.add({ name: "report", queueName: "mail", data: { issue }, opts: { jobId: `report-${issue}` }, children });
  }

  digest(everyMs: number): Promise<unknown> {
    return this.queue.upsertJobScheduler("digest", { every: everyMs }, { name: "digest", data: { to: "all" } });
  }

  async close(): Promise<void> {
    await Promise.all([this.queue.close(), this.#flows.close()]);
  }
}

/** The worker's side: what was given to `new Worker("mail", …)`. */
export function mailProcessor({ sent }: Outbox) {
  return async (job: Job, token?: string): Promise<unknown> => {
    switch (job.name) {
      case "welcome": {
        if (job.data.to.endsWith(".invalid")) throw new UnrecoverableError("no such domain");
        if (job.attemptsMade < (job.data.refusals ?? 0)) throw new Error("421 try again");
        if (job.data.to.startsWith("sleeper") && job.data.woken === undefined) {
          await job.updateData({ ...job.data, woken: true });
          await job.moveToDelayed(Date.now() + 20, token);
          throw new DelayedError();
        }
        await job.updateProgress(100);
        break;
      }
      case "report": {
        const receipts = Object.values(await job.getChildrenValues());
        sent.push(`report editor of ${receipts.length}`);
        return receipts.length;
      }
    }
    sent.push(`${job.name} ${job.data.to}`);
    return { accepted: job.data.to };
  };
}
