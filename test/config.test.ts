import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig, maskSecrets, redisFromEnvironment } from "../src/config.ts";
import { OptionError } from "../src/errors.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (options: Parameters<typeof loadConfig>[0] = {}) => loadConfig({ folder, environment: {}, ...options });

test("has a default for everything but Redis, and says so", async () => {
  const config = await load();
  expect(config).toMatchObject({ redis: undefined, prefix: "bull", logLevel: "info", drainMs: 25_000, graceMs: 5000, workers: ["workers"] });
  expect(new Set(Object.values(config.origins))).toEqual(new Set(["default"]));
});

test("takes flags over the environment, the environment over the file, the file over the defaults", async () => {
  writeFileSync(join(folder, "millrace.config.mjs"), `export default { prefix: "file", concurrency: 3, drain: "10s", grace: 100 };`);
  const config = await load({ environment: { MILLRACE_PREFIX: "environment", MILLRACE_CONCURRENCY: "4" }, flags: { prefix: "flag" } });
  expect(config).toMatchObject({ prefix: "flag", concurrency: 4, drainMs: 10_000, graceMs: 100 });
  expect(config.origins).toMatchObject({ prefix: "--prefix", concurrency: "MILLRACE_CONCURRENCY", drain: "millrace.config.mjs", logLevel: "default" });
});

test("takes processes as a number, or as one a core, and their limits as sizes and numbers", async () => {
  const environment = { MILLRACE_PROCESSES: "auto", MILLRACE_MAX_RSS: "512mb", MILLRACE_MAX_JOBS: "1000", MILLRACE_MAX_STUCK: "0" };
  expect(await load({ environment })).toMatchObject({ processes: availableParallelism(), maxRssBytes: 512 * 2 ** 20, maxJobs: 1000, maxStuck: 0 });
  expect(await load({ environment, flags: { processes: "3", maxRss: "500000000" } })).toMatchObject({ processes: 3, maxRssBytes: 500_000_000 });
  expect(await load()).toMatchObject({ processes: undefined, maxRssBytes: undefined, maxJobs: undefined, maxStuck: 10 });
  for (const processes of ["0", "1.5", "-1", "all"]) await expect(load({ flags: { processes } })).rejects.toThrow('expected a whole number of at least 1, or "auto", for --processes');
  await expect(load({ flags: { maxRss: "1mb" } })).rejects.toThrow("of at least 67108864 bytes for --max-rss");
});

test.each([
  ["8080", { host: "127.0.0.1", port: 8080 }],
  ["0", { host: "127.0.0.1", port: 0 }],
  ["0.0.0.0:8080", { host: "0.0.0.0", port: 8080 }],
  ["[::1]:65535", { host: "::1", port: 65_535 }],
  ["pod.local:80", { host: "pod.local", port: 80 }],
  ["unix:/run/worker.sock", { path: "/run/worker.sock" }],
])("takes %s as an address of the health endpoint", async (text, address) => {
  expect(await load({ flags: { health: text } })).toMatchObject({ health: address });
  expect(await load({ environment: { MILLRACE_HEALTH: text } })).toMatchObject({ health: address });
});

test.each(["", ":", "65536", "http://localhost:80", "a b:80", "::1:80", "unix:", "unix:run.sock", `unix:/${"x".repeat(101)}`, "8080:", "/run/worker.sock"])(
  "refuses %j as an address of the health endpoint",
  async (health) => {
    await expect(load({ flags: { health } })).rejects.toThrow("expected 8080, 0.0.0.0:8080 or unix:/path for --health");
  },
);

test("is frozen", async () => {
  const config = await load();
  for (const part of [config, config.origins, config.warnings, config.workers]) expect(Object.isFrozen(part)).toBe(true);
});

test("reads a config file in TypeScript", async () => {
  writeFileSync(join(folder, "millrace.config.ts"), `interface Mine { prefix: string }\nexport default { prefix: "typed" } satisfies Mine;`);
  expect(await load()).toMatchObject({ prefix: "typed", origins: { prefix: "millrace.config.ts" } });
});

test("refuses an unknown setting in the file and says which was meant", async () => {
  writeFileSync(join(folder, "millrace.config.mjs"), `export default { concurency: 3 };`);
  await expect(load()).rejects.toThrow('unknown option "concurency" of millrace.config.mjs: did you mean concurrency?');
});

test("refuses two config files, and one without a default export", async () => {
  writeFileSync(join(folder, "millrace.config.js"), "export const prefix = 'x';");
  await expect(load()).rejects.toThrow("no default export");
  writeFileSync(join(folder, "millrace.config.mjs"), "export default {};");
  await expect(load()).rejects.toThrow("got millrace.config.js and millrace.config.mjs");
});

test.each([
  [{ MILLRACE_CONCURRENCY: "0" }, "MILLRACE_CONCURRENCY"],
  [{ MILLRACE_CONCURRENCY: "many" }, "MILLRACE_CONCURRENCY"],
  [{ MILLRACE_DRAIN: "-5s" }, "MILLRACE_DRAIN"],
  [{ MILLRACE_LOG_LEVEL: "loud" }, "MILLRACE_LOG_LEVEL"],
  [{ REDIS_URL: "localhost:6379" }, "REDIS_URL"],
  [{ REDIS_URL: "http://localhost" }, "REDIS_URL"],
])("refuses %o and names where it was said", async (environment, origin) => {
  const error = await load({ environment }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(OptionError);
  expect((error as OptionError).message).toContain(origin);
});

test("takes how soon a dead worker's jobs run again", async () => {
  expect(await load()).toMatchObject({ recovery: "normal" });
  expect(await load({ environment: { MILLRACE_RECOVERY: "fast" } })).toMatchObject({ recovery: "fast" });
  await expect(load({ environment: { MILLRACE_RECOVERY: "slow" } })).rejects.toThrow('expected "normal" or "fast" for MILLRACE_RECOVERY');
});

test("takes digits as milliseconds where a duration is due, and as text where a name is", async () => {
  expect(await load({ flags: { drain: "500", name: "7", prefix: "8" } })).toMatchObject({ drainMs: 500, name: "7", prefix: "8" });
});

test("takes an empty variable as not set", async () => {
  expect(await load({ environment: { REDIS_URL: "", MILLRACE_PREFIX: "" } })).toMatchObject({ redis: undefined, prefix: "bull" });
});

test("reads the address from the file that REDIS_URL_FILE names, without its newline", () => {
  const secret = join(folder, "secret");
  writeFileSync(secret, "redis://:pw@host:6379\n");
  expect(redisFromEnvironment({ REDIS_URL_FILE: secret })).toBe("redis://:pw@host:6379");
});

test.each(["redis+sentinel://a:1,b:2/m", "rediss+cluster://a,b"])("takes %s", (url) => {
  expect(redisFromEnvironment({ REDIS_URL: url })).toBe(url);
});

test("refuses REDIS_URL_FILE that cannot be read, or that stands beside REDIS_URL", () => {
  expect(() => redisFromEnvironment({ REDIS_URL_FILE: join(folder, "none") })).toThrow(/readable file.*ENOENT/);
  expect(() => redisFromEnvironment({ REDIS_URL_FILE: "x", REDIS_URL: "redis://h" })).toThrow("got both");
});

test("warns of a password on the command line, and only there", async () => {
  expect((await load({ flags: { redis: "redis://:pw@host" } })).warnings).toHaveLength(1);
  expect((await load({ flags: { redis: "redis://host" } })).warnings).toEqual([]);
  expect((await load({ environment: { REDIS_URL: "redis://:pw@host" } })).warnings).toEqual([]);
});

test.each([
  ["redis://:pw@host:6379/0", "redis://:***@host:6379/0"],
  ["at rediss://user:p@ss/w0rd@host.", "at rediss://user:***@host."],
  ["redis+sentinel://:pw@a:1,b:2/m", "redis+sentinel://:***@a:1,b:2/m"],
  ["unix:/run/redis.sock?db=1&password=pw", "unix:/run/redis.sock?db=1&password=***"],
  ["redis://host:6379 and mail@host", "redis://host:6379 and mail@host"],
])("strikes out the password in %s", (text, masked) => {
  expect(maskSecrets(text)).toBe(masked);
});

test("never shows a password in an error", async () => {
  const error: unknown = await load({ environment: { REDIS_URL: "reddis://:hunter2@host" } }).catch((error: unknown) => error);
  expect(String(error)).not.toContain("hunter2");
});
