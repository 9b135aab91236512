/** Both sides of messages: `ask` and `hearMessages`. */
import { expect, onTestFinished, test } from "vitest";
import { ask, type NamedPool } from "../../src/control/ask.ts";
import { hearMessages } from "../../src/control/hearing.ts";
import { messageChannel } from "../../src/control/keys.ts";
import { encodeMessage } from "../../src/control/message.ts";
import { register } from "../../src/control/registry.ts";
import { StateError } from "../../src/errors.ts";
import type { Connections } from "../../src/redis/connection.ts";
import { recordedLog, until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { connected, entryOf, hearing } from "./control.ts";

const named = (...ids: string[]): NamedPool[] => ids.map((id) => ({ id, name: `name-${id}` }));
const stand = (running: number) => ({ ping: () => ({ state: "ready" as const, running }) });

async function three(): Promise<Connections> {
  const connections = await connected();
  for (const [running, id] of ["a", "b", "c"].entries()) {
    await hearing(connections, id, stand(running));
    await register(connections, entryOf(id), []);
  }
  return connections;
}

test("asks one, some or all, and gives who answered what, without waiting out the second", async () => {
  const connections = await three();
  const one = await ask(connections, "ping", {}, named("b"));
  expect(one).toEqual({ answers: [{ pool: { id: "b", name: "name-b" }, value: { state: "ready", running: 1 } }], unanswered: [] });
  const took = await takes(
    (async () => {
      const some = await ask(connections, "ping", {}, named("c", "a"));
      expect(some.answers.map(({ pool }) => pool.id).toSorted()).toEqual(["a", "c"]);
      const all = await ask(connections, "ping", {}, "all");
      expect(all.answers.map(({ pool }) => pool.id).toSorted()).toEqual(["a", "b", "c"]);
      expect(all.unanswered).toEqual([]);
    })(),
  );
  expect(took).toBeLessThan(900);
});

test("asked from elsewhere, over connections of its own", async () => {
  const { prefix } = await three();
  const elsewhere = await connected(undefined, prefix);
  expect((await ask(elsewhere, "ping", {}, "all")).answers).toHaveLength(3);
});

test("who does not answer within a second is named, and the others' answers are there", async () => {
  const connections = await three();
  await register(connections, entryOf("dead"), []);
  const stuck = Promise.withResolvers<never>();
  await hearing(connections, "slow", { ping: () => stuck.promise });
  await register(connections, entryOf("slow"), []);
  let replies: Awaited<ReturnType<typeof ask<"ping">>> | undefined;
  const took = await takes(ask(connections, "ping", {}, "all").then((given) => (replies = given)));
  expect(replies?.answers).toHaveLength(3);
  expect(replies?.unanswered).toEqual(named("dead", "slow"));
  expect(took).toBeGreaterThan(900);
  expect(took).toBeLessThan(2000);
});

test("one that has begun may take longer, and is waited for no longer than that", async () => {
  const connections = await connected();
  const gate = Promise.withResolvers<void>();
  const deed = async (_: object, begun: () => void) => {
    begun();
    await gate.promise;
    return { gzip: "packed" };
  };
  await hearing(connections, "a", { profile: deed });
  setTimeout(gate.resolve, 1500);
  expect(await ask(connections, "profile", { seconds: 1 }, named("a"), 20_000)).toMatchObject({ answers: [{ value: { gzip: "packed" } }] });
  const never = Promise.withResolvers<never>();
  await hearing(connections, "b", { profile: (_, begun) => (begun(), never.promise) });
  expect(await ask(connections, "profile", { seconds: 1 }, named("b"), 300)).toEqual({ answers: [], unanswered: named("b") });
});

test("an answer of megabytes arrives whole", async () => {
  const connections = await connected();
  const gzip = Array.from({ length: 3_000_000 }, (_, n) => String.fromCharCode(97 + (n % 26))).join("");
  await hearing(connections, "a", { profile: () => ({ gzip }) });
  const { answers } = await ask(connections, "profile", { seconds: 1 }, named("a"));
  expect(answers).toEqual([{ pool: { id: "a", name: "name-a" }, value: { gzip } }]);
});

test("what cannot be done is answered with its code", async () => {
  const connections = await connected();
  await hearing(connections, "a", { restart: () => Promise.reject(new StateError("no supervisor")) });
  const answered = (error: object) => ({ answers: [{ pool: { id: "a", name: "name-a" }, error }], unanswered: [] });
  expect(await ask(connections, "restart", {}, named("a"))).toEqual(answered({ code: "STATE_INVALID", message: "no supervisor" }));
  expect(await ask(connections, "dump", {}, named("a"))).toEqual(answered({ code: "FAILED", message: "not expected here" }));
  expect((await failure(ask(connections, "scale", { concurrency: 0 }, named("a")))).error).toMatchObject({ code: "OPTION_INVALID" });
});

/** As the script that sends does, by hand. */
async function say(connections: Connections, text: string): Promise<void> {
  await connections.command.publish(messageChannel(connections.prefix), text);
}

test("what is no message, to somebody else, or from long ago, is left alone; an unknown verb and a wrong argument are answered", async () => {
  const connections = await connected();
  const log = recordedLog();
  const told: string[] = [];
  await hearing(connections, "a", { quiet: () => (told.push("quiet"), { state: "quiet", running: 0 }), scale: () => (told.push("scale"), { from: 1, to: 2, usable: 2 }) }, log);
  const listener = redisClient();
  const answers: string[] = [];
  listener.on("pmessage", (_, __, text: string) => answers.push(text));
  await listener.psubscribe(`${connections.prefix}:*answers:*`);
  const message = (verb: string, to: string[] | null = ["a"], args: object = {}) => encodeMessage({ id: "m", verb, args, to });
  const now = connections.clock.now();
  await say(connections, "nonsense");
  await say(connections, `${now} ${message("quiet", ["b"])}`);
  await say(connections, `${now - 5000} ${message("quiet")}`);
  await say(connections, `${now} ${message("drain")}`);
  await say(connections, `${now} ${message("scale", ["a"], { concurrency: -1 })}`);
  await until(() => answers.length === 2);
  await say(connections, `${connections.clock.now()} ${message("quiet", null)}`);
  await until(() => answers.length === 3);
  expect(told).toEqual(["quiet"]);
  expect(answers.join()).toContain("expected a verb that Millrace 1.2.3 knows, got drain");
  expect(answers.join()).toContain("OPTION_INVALID");
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "warn", message: expect.stringContaining("too late") as string }));
});

test("hears nothing more once its signal has fired", async () => {
  const connections = await connected();
  const ended = await hearing(connections, "a", stand(1));
  expect((await ask(connections, "ping", {}, named("a"))).answers).toHaveLength(1);
  ended.abort();
  expect((await ask(connections, "ping", {}, named("a"))).unanswered).toEqual(named("a"));
});

test("both sides listen again after a Redis that was away", async () => {
  const redis = await startRedis();
  const connections = await connected(redis.url);
  await hearing(connections, "a", stand(1));
  await redis.stop();
  await redis.start();
  const elsewhere = await connected(redis.url, connections.prefix);
  await until(async () => (await ask(elsewhere, "ping", {}, named("a"))).answers.length === 1);
});

test("says why where it may not listen", async () => {
  const { url, port } = await startRedis();
  await redisClient(url).call("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "-subscribe");
  const connections = await connected(`redis://deaf:secret@127.0.0.1:${port}`);
  const log = recordedLog();
  const { error, tookMs } = await failure(ask(connections, "ping", {}, named("a")));
  expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE", message: expect.stringContaining("NOPERM") as string });
  expect(tookMs).toBeLessThan(2000);
  const ended = new AbortController();
  onTestFinished(() => ended.abort());
  hearMessages(connections, { id: "a", name: "a", version: "1", deeds: {} as never }, log, ended.signal);
  await until(() => log.lines.length > 0);
  expect(log.lines).toMatchObject([{ level: "warn", message: expect.stringContaining("cannot be steered") as string }]);
});
