import { hostname } from "node:os";
import { expect, test } from "vitest";
import { effectiveSettings } from "../../src/admin/settings.ts";
import { loadConfig } from "../../src/config.ts";

test("gives every setting with its value and origin, and no secret", async () => {
  const config = await loadConfig({ folder: "/nowhere", environment: { REDIS_URL: "redis://ada:hunter2@localhost:1/2", MILLRACE_DRAIN: "10s" }, flags: { maxRss: "512mb", prefix: "shop" } });
  const rows = effectiveSettings(config);
  expect(rows.map(({ setting }) => setting)).toEqual(Object.keys(config.origins));
  expect(rows).toEqual(expect.arrayContaining([
    { setting: "redis", value: "redis://ada:***@localhost:1/2", origin: "REDIS_URL" },
    { setting: "prefix", value: "shop", origin: "--prefix" },
    { setting: "drain", value: 10_000, origin: "MILLRACE_DRAIN" },
    { setting: "maxRss", value: 512 * 2 ** 20, origin: "--max-rss" },
    { setting: "concurrency", value: null, origin: "default" },
    { setting: "workers", value: ["workers"], origin: "default" },
    { setting: "who", value: expect.stringMatching(new RegExp(`.@${hostname()}$`)) as string, origin: "default" },
  ]));
});

test("strikes out secrets in options of ioredis", async () => {
  const redis = { host: "h", password: "hunter2", sentinels: [{ host: "s" }], sentinelPassword: "hunter3", tls: { key: "pem", passphrase: "x", ca: "pem" }, retryStrategy: () => 1 };
  const config = { ...(await loadConfig({ folder: "/nowhere", environment: {} })), redis };
  expect(effectiveSettings(config).find(({ setting }) => setting === "redis")!.value).toEqual({
    host: "h", password: "***", sentinels: [{ host: "s" }], sentinelPassword: "***", tls: { key: "***", passphrase: "***", ca: "pem" }, retryStrategy: "a function",
  });
});
