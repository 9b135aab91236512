import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { NoRedisError, OptionError } from "../../src/errors.ts";
import { maskUrl, resolveAddress, type Address, type RedisOption } from "../../src/redis/address.ts";

function address(option: RedisOption | undefined, env: NodeJS.ProcessEnv = {}): Address {
  const found = resolveAddress(option, env);
  if (found === "embedded") throw new Error("expected an address");
  return found;
}

async function fileWith(text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const path = join(dir, "redis-url");
  await writeFile(path, text);
  return path;
}

test.each([
  ["redis://localhost", { host: "localhost", port: 6379, db: 0 }, "redis://localhost:6379"],
  ["redis://", { host: "localhost", port: 6379, db: 0 }, "redis://localhost:6379"],
  ["redis:///5", { host: "localhost", port: 6379, db: 5 }, "redis://localhost:6379/5"],
  ["redis://10.0.0.7:7000/2", { host: "10.0.0.7", port: 7000, db: 2 }, "redis://10.0.0.7:7000/2"],
  ["redis://h?db=2", { host: "h", port: 6379, db: 2 }, "redis://h:6379/2"],
  ["redis://[::1]:7000", { host: "::1", port: 7000, db: 0 }, "redis://[::1]:7000"],
  ["redis://ann:p%40ss%3Aw%2Frd@h", { host: "h", port: 6379, db: 0, username: "ann", password: "p@ss:w/rd" }, "redis://h:6379"],
  ["redis://:secret@h", { host: "h", port: 6379, db: 0, password: "secret" }, "redis://h:6379"],
  ["rediss://h:6380", { host: "h", port: 6380, db: 0, tls: {} }, "rediss://h:6380"],
  ["unix:/run/redis.sock", { path: "/run/redis.sock", db: 0 }, "unix:/run/redis.sock"],
  ["unix:///run/redis.sock?db=3", { path: "/run/redis.sock", db: 3 }, "unix:/run/redis.sock?db=3"],
  ["unix:/a%20folder/redis.sock", { path: "/a folder/redis.sock", db: 0 }, "unix:/a folder/redis.sock"],
])("reads %s", (url, options, shown) => {
  expect(address(url)).toEqual({ options, shown });
});

test.each([
  "localhost:6379",
  "http://localhost",
  "redis:localhost",
  "redis://h:notaport",
  "redis://h:70000",
  "redis://h/first",
  "redis://h/-1",
  "redis://h?password=secret",
  "redis://h/1#2",
  "unix:relative.sock",
  "unix://host/redis.sock",
  "unix:/",
  "redis://a:1,b:2",
  "redis://a,b",
  "redis://h:6379/%zz",
  "redis://:pa%zz@h",
  "",
  " ",
])("refuses %j with what it expects", (url) => {
  expect(() => resolveAddress(url, {})).toThrow(OptionError);
  expect(() => resolveAddress(url, {})).toThrow(/redis:\/\/host:6379/);
});

const plain = { natMap: {} };

test.each([
  ["redis+sentinel://a:26379,b/mymaster", { db: 0 }, { kind: "sentinel", servers: [{ host: "a", port: 26_379 }, { host: "b", port: 26_379 }], name: "mymaster", options: {} }, "redis+sentinel://a:26379,b:26379/mymaster"],
  ["rediss+sentinel://ann:p%40ss@[::1]:1/m%2F/2", { db: 2, username: "ann", password: "p@ss", tls: {} }, { kind: "sentinel", servers: [{ host: "::1", port: 1 }], name: "m/", options: { tls: {} } }, "rediss+sentinel://[::1]:1/m//2"],
  ["redis+cluster://:secret@a:7000,b", { db: 0, password: "secret" }, { kind: "cluster", servers: [{ host: "a", port: 7000 }, { host: "b", port: 6379 }], name: "", options: { db: 0, password: "secret" } }, "redis+cluster://a:7000,b:6379"],
])("reads %s", (url, options, guides, shown) => {
  expect(address(url)).toEqual({ options, guides: { ...plain, ...guides }, shown });
});

test.each<[RedisOption, object, object, string]>([
  [{ sentinels: [{ host: "a" }], name: "m", sentinelPassword: "s", password: "p", db: 1, host: "h", tls: {} }, { password: "p", db: 1 }, { kind: "sentinel", servers: [{ host: "a", port: 26_379 }], name: "m", options: { password: "s" } }, "redis+sentinel://a:26379/m/1"],
  [{ sentinels: [{ host: "a", port: 1 }], name: "m", tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} }, { tls: {} }, { kind: "sentinel", servers: [{ host: "a", port: 1 }], name: "m", options: { tls: {} } }, "rediss+sentinel://a:1/m"],
  [{ cluster: [{ host: "a", port: 7000 }, {}], password: "p", natMap: { "10.0.0.1:1": { host: "a", port: 2 } } }, { password: "p" }, { kind: "cluster", servers: [{ host: "a", port: 7000 }, { host: "localhost", port: 6379 }], name: "", options: { password: "p" }, natMap: { "10.0.0.1:1": { host: "a", port: 2 } } }, "redis+cluster://a:7000,localhost:6379"],
])("takes the options of several servers: %j", (option, options, guides, shown) => {
  const found = address(option);
  expect(found).toEqual({ options, guides: { ...plain, ...guides }, shown });
  expect(structuredClone(found)).toEqual(found);
});

test.each<RedisOption>([
  "redis+sentinel://a:26379",
  "redis+sentinel://a,,b/m",
  "redis+sentinel://a:x/m",
  "redis+sentinel://a/m/first",
  "redis+sentinel://a/m/1/2",
  "redis+cluster://a/1",
  "redis+cluster://",
  "redis+cluster://a?db=1",
  "redis-cluster://a:7000",
  { sentinels: [{ host: "a" }] },
  { sentinels: [], name: "m" },
  { sentinels: [{ host: "a" }], name: "m", role: "slave" },
  { sentinels: [{ host: "a", port: 0 }], name: "m" },
  { cluster: [] },
  { cluster: [{ host: "a" }], db: 1 },
  { cluster: [{ host: "a" }], natMap: () => null } as RedisOption,
  [{ host: "a" }] as unknown as RedisOption,
])("refuses what names several servers, and is not of its form: %j", (option) => {
  expect(() => resolveAddress(option, {})).toThrow(OptionError);
});

test("takes ioredis options, and refuses those that would change what we read or write", () => {
  expect(address({ host: "h", port: 7000, db: 2, password: "secret", maxRetriesPerRequest: null })).toEqual({
    options: { host: "h", port: 7000, db: 2, password: "secret", maxRetriesPerRequest: null },
    shown: "redis://h:7000/2",
  });
  expect(address({ path: "/run/redis.sock" }).shown).toBe("unix:/run/redis.sock");
  expect(address({}).shown).toBe("redis://localhost:6379");
  expect(() => address({ keyPrefix: "x:" })).toThrow(/prefix/);
  expect(() => address({ stringNumbers: true })).toThrow(OptionError);
  expect(() => address({ replyMapping: "resp3" })).toThrow(OptionError);
  expect(() => address({ port: 0 })).toThrow(OptionError);
  expect(() => address(new Redis({ lazyConnect: true }) as unknown as RedisOption)).toThrow(/give its options/);
  expect(() => address(5 as unknown as RedisOption)).toThrow(OptionError);
});

test("the option comes before REDIS_URL, and that before REDIS_URL_FILE", async () => {
  const file = await fileWith("redis://in-file\n");
  const env = { REDIS_URL: "redis://in-env", REDIS_URL_FILE: file };
  expect(address("redis://given", env).shown).toBe("redis://given:6379");
  expect(address(undefined, env).shown).toBe("redis://in-env:6379");
  expect(address(undefined, { REDIS_URL: "", REDIS_URL_FILE: file }).shown).toBe("redis://in-file:6379");
});

test("without any of them says that nothing says where Redis is", () => {
  expect(() => resolveAddress(undefined, {})).toThrow(NoRedisError);
  expect(() => resolveAddress(undefined, { REDIS_URL: "" })).toThrow(NoRedisError);
});

test("names a file that cannot be read, or holds nothing", async () => {
  expect(() => resolveAddress(undefined, { REDIS_URL_FILE: "/no/such/file" })).toThrow(/\/no\/such\/file.*ENOENT/);
  const empty = await fileWith("\n");
  expect(() => resolveAddress(undefined, { REDIS_URL_FILE: empty })).toThrow(OptionError);
});

test("an embedded server is for development only", () => {
  expect(resolveAddress("embedded", {})).toBe("embedded");
  expect(resolveAddress(undefined, { REDIS_URL: "embedded" })).toBe("embedded");
  expect(() => resolveAddress("embedded", { NODE_ENV: "production" })).toThrow(OptionError);
});

test("no message shows a password, however broken the URL is", () => {
  const password = "hunter2";
  const broken = [`redis://u:${password}@h:x`, `redis://u:${password}@@h:x`, `redis://u:${password}#@h`, `redis://:${password}/@h`, `u:${password}@h`, `redis://h?password=${password}`, `redis://a:1,u:${password}@b:2`, `redis://u:${password}%zz@h`, `rediss:${password}@h`, `redis+sentinel://:${password}@h`, `redis+cluster://:${password}/@h:x`, `redis+sentinel://:${password}%zz@h/m`];
  for (const url of broken) {
    let message = "";
    try {
      resolveAddress(url, {});
    } catch (error) {
      message = String(error);
    }
    expect(message, url).toContain("OptionError");
    expect(message, url).not.toContain(password);
  }
});

test("masking keeps the host and hides everything between the scheme and the last @", () => {
  expect(maskUrl("redis://ann:a@b@host:1/2?db=3")).toBe("redis://***@host:1/2?db=3");
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{6,20}$/), (password) => {
      expect(maskUrl(`redis://ann:${password}@host`)).toBe("redis://***@host");
    }),
  );
});
