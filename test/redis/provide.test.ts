import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { provideRedis } from "../../src/redis/provide.ts";

function silence(line: string): void {
  throw new Error(`said ${line}`);
}

test("the Redis of the environment comes first, and nothing is looked for", async () => {
  expect((await provideRedis(silence, { REDIS_URL: "redis://somewhere", PATH: "" })).redis).toBe("redis://somewhere");
  await expect(provideRedis(silence, { REDIS_URL_FILE: "/no/such/file" })).rejects.toThrow(OptionError);
});

test("else the embedded server, where there is a program for it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, "valkey-server"), "#!/bin/sh\necho 'Valkey server v=8.1.0'\n");
  await chmod(join(dir, "valkey-server"), 0o755);
  const provided = await provideRedis(silence, { PATH: dir });
  expect(provided.redis).toBe("embedded");
  await provided.release();
});
