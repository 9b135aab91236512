import { connect } from "node:net";
import { expect, test } from "vitest";
import { BackendError, BackendFullError, OptionError } from "../../src/errors.ts";
import { asBackendError, describeError } from "../../src/redis/errors.ts";
import { freePort } from "../support/redis-process.ts";
import { redisClient } from "../support/redis.ts";

/** The error that a real server's reply of that text becomes. */
async function reply(text: string): Promise<Error> {
  return redisClient()
    .eval("return redis.error_reply(ARGV[1])", 0, text)
    .then(
      () => new Error("no error"),
      (error: Error) => error,
    );
}

test.each([
  "LOADING Redis is loading the dataset in memory",
  "READONLY You can't write against a read only replica.",
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "NOREPLICAS Not enough good replicas to write.",
  "MISCONF Redis is configured to save RDB snapshots",
  "BUSY Redis is busy running a script.",
  "NOPERM this user has no permissions to run the 'set' command",
  // Redis 6.2 wraps what a command in a script says.
  "ERR Error running script (call to f_abc): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
])("a refusal is a BackendError, and nothing ran: %s", async (text) => {
  const error = asBackendError(await reply(text));
  expect(error).toBeInstanceOf(BackendError);
  expect((error as BackendError).mayHaveRun).toBe(false);
  expect(error.cause).toBeInstanceOf(Error);
});

test.each([
  "OOM command not allowed when used memory > 'maxmemory'.",
  "ERR Error running script (call to f_abc): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
])("a full server is a BackendFullError: %s", async (text) => {
  expect(asBackendError(await reply(text))).toBeInstanceOf(BackendFullError);
});

test.each(["WRONGTYPE Operation against a key holding the wrong kind of value", "ERR unknown command 'x'", "MINE a room without a view BUSYBODY"])(
  "any other reply stays what it is: %s",
  async (text) => {
    const error = await reply(text);
    expect(asBackendError(error)).toBe(error);
  },
);

test("a connection that fails is a BackendError; whether the command was sent decides whether it may have run", async () => {
  const refused = await new Promise<Error>((resolve, reject) => {
    freePort().then((port) => connect(port, "127.0.0.1").once("error", resolve), reject);
  });
  for (const error of [refused, new Error("Connection is closed."), new Error("Command timed out")]) {
    expect(asBackendError(error)).toMatchObject({ code: "BACKEND_UNAVAILABLE", mayHaveRun: true, cause: error });
    expect(asBackendError(error, false)).toMatchObject({ mayHaveRun: false, message: expect.stringContaining("not sent") });
  }
});

test("our own errors and errors of the program stay what they are", () => {
  for (const error of [new OptionError("x"), new BackendError("x"), new TypeError("x is not a function")]) expect(asBackendError(error)).toBe(error);
  expect(asBackendError("a string")).toMatchObject({ message: "a string" });
});

test("does not carry the arguments of the command: they hold payloads and passwords", async () => {
  const error = (await redisClient()
    .auth("somebody", "hunter2")
    .catch((error: unknown) => error)) as Error;
  expect(JSON.stringify(error)).toContain("hunter2");
  expect(JSON.stringify(asBackendError(error).cause ?? asBackendError(error))).not.toContain("hunter2");
});

test("describes an error whose message is empty by what it holds", () => {
  const both = new AggregateError([new Error("connect ECONNREFUSED ::1:1"), new Error("connect ECONNREFUSED 127.0.0.1:1")]);
  expect(describeError(both)).toBe("connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1");
  expect(describeError(Object.assign(new Error(""), { code: "EPIPE" }))).toBe("EPIPE");
  expect(describeError(undefined)).toBe("undefined");
});
