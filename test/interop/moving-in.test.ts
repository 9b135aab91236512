/** The chapter "Moving from BullMQ" of the README, on a small application that knows nothing of us: each move is one line, and so is the way back. */
import { Worker, type QueueOptions } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { createMillraceBackend, fromProcessor } from "../../src/bullmq.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { Mailer, mailProcessor, type Mail } from "./mail-application.ts";

interface Stage {
  readonly settings: QueueOptions;
  readonly prefix: string;
  readonly processor: ReturnType<typeof mailProcessor>;
}

/** Who runs the mails, and how to stop it. */
type Start = (stage: Stage) => () => Promise<unknown>;

const stock: Start = ({ settings, processor }) => {
  const worker = new Worker("mail", processor, { ...settings, concurrency: 20 });
  return () => worker.close();
};
const dropIn: Start = ({ settings, processor }) => {
  const worker = new Worker("mail", processor, { ...settings, concurrency: 20 }, createMillraceBackend);
  return () => worker.close();
};
const pool: Start = ({ prefix, processor }) => {
  const running = testApp({ prefix }).pool([fromProcessor("mail", processor, { concurrency: 20 })]);
  return () => running.stop();
};

function stage(): Stage & { readonly sent: string[]; readonly mailer: Mailer } {
  const prefix = freshPrefix();
  const settings = { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix };
  const sent: string[] = [];
  const mailer = new Mailer(settings);
  onTestFinished(() => mailer.close());
  return { settings, prefix, processor: mailProcessor({ sent }), sent, mailer };
}

const mailsOf = (who: string): Mail[] => Array.from({ length: 60 }, (_, n) => ({ to: `${n % 9 === 0 ? "sleeper" : "reader"}-${who}-${n}`, ...(n % 7 === 0 && { refusals: 2 }) }));

test.each([
  ["a Worker on the drop-in backend", dropIn],
  ["our pool, by fromProcessor", pool],
])("a queue moves from a stock Worker to %s and back: every mail goes out once, flows end, the digest keeps coming", async (_to, there) => {
  const { mailer, sent, ...on } = stage();
  await mailer.digest(100);
  const digests = (): number => sent.filter((mail) => mail === "digest all").length;
  const mails: Mail[] = [];
  for (const [turn, start] of [stock, there, stock].entries()) {
    // Put while nobody runs: the one who comes finds what the one before him has left.
    const more = mailsOf(`turn${turn}`);
    mails.push(...more);
    await Promise.all([mailer.welcome(more), mailer.newsletter(turn, ["ann", "ben", "cy"].map((name) => `${name}-${turn}`))]);
    const before = { digests: digests(), sent: sent.length };
    const stop = start(on);
    // In mid-work but for the last: what is not sent by then the next one sends.
    if (turn < 2) await until(() => sent.length > before.sent + 20 && digests() > before.digests + 1);
    else await until(() => sent.filter((mail) => mail.startsWith("report")).length === 3 && sent.filter((mail) => mail.startsWith("welcome")).length === mails.length && digests() > before.digests + 1);
    await stop();
  }
  expect(sent.filter((mail) => mail.startsWith("welcome")).toSorted()).toEqual(mails.map(({ to }) => `welcome ${to}`).toSorted());
  expect(sent.filter((mail) => mail.startsWith("issue")).toSorted()).toEqual(["ann", "ben", "cy"].flatMap((name) => [0, 1, 2].map((turn) => `issue ${name}-${turn}`)).toSorted());
  expect(sent.filter((mail) => mail.startsWith("report"))).toEqual(Array.from({ length: 3 }, () => "report editor of 3"));
  expect(await mailer.queue.getFailedCount()).toBe(0);
  expect(await mailer.queue.getJobSchedulersCount()).toBe(1);
});

test("what fails for good fails for good whoever runs it, at once where the processor says so", async () => {
  for (const start of [stock, dropIn, pool]) {
    const { mailer, sent, ...on } = stage();
    const stop = start(on);
    await mailer.welcome([{ to: "x@y.invalid" }, { to: "down", refusals: 9 }]);
    await until(async () => (await mailer.queue.getFailedCount()) === 2);
    await stop();
    expect(sent).toEqual([]);
    const failed = await mailer.queue.getFailed();
    expect(Object.fromEntries(failed.map(({ data, failedReason, attemptsMade }) => [data.to, [failedReason, attemptsMade]]))).toEqual({ "x@y.invalid": ["no such domain", 1], down: ["421 try again", 5] });
  }
});

test("the producers move by one line as well", async () => {
  const { settings, sent, ...on } = stage();
  const mailer = new Mailer(settings, createMillraceBackend);
  onTestFinished(() => mailer.close());
  const stop = stock({ settings, ...on });
  const mails = mailsOf("batched");
  await mailer.welcome(mails);
  await until(() => sent.length === mails.length);
  await stop();
  expect(sent.toSorted()).toEqual(mails.map(({ to }) => `welcome ${to}`).toSorted());
});
