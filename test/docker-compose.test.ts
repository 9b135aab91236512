/** Holds what docker-compose.yml promises. No engine is needed: the file is read, and its commands are checked against the project. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import packageJson from "../package.json" with { type: "json" };

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly volumes: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
  readonly working_dir?: string;
}

const root = new URL("../", import.meta.url);
const file = parse(readFileSync(new URL("docker-compose.yml", root), "utf8"), { strict: true, uniqueKeys: true }) as {
  readonly services: { readonly redis: Service; readonly worker: Service };
  readonly volumes: Readonly<Record<string, unknown>>;
};
const { redis, worker } = file.services;

test("Redis keeps its jobs over a restart, and never evicts one", () => {
  expect(optionsOf(redis.command)).toMatchObject({ appendonly: "yes", "maxmemory-policy": "noeviction" });
  expect(redis.volumes).toEqual(["redis-data:/data"]);
  expect(redis.healthcheck?.test).toEqual(["CMD", "redis-cli", "ping"]);
});

test("the worker waits for a healthy Redis, and gets longer to stop than it takes", () => {
  expect(worker.depends_on).toEqual({ redis: { condition: "service_healthy" } });
  expect(worker.environment?.["REDIS_URL"]).toBe("redis://redis:6379");
  expect(worker.stop_grace_period).toBe("35s");
});

test("the worker runs the command of this project, as the process that gets the signals", () => {
  const [shell, flag, line] = worker.command;
  expect([shell, flag]).toEqual(["sh", "-c"]);
  const [, condition = "", main = ""] = /^npm ci --omit=dev && exec node -C (\S+) (\S+) worker start --health 8080$/.exec(line ?? "") ?? [];
  expect(existsSync(new URL(main, root)), main).toBe(true);
  expect(Object.keys(packageJson.exports["."])).toContain(condition);
  expect(worker.image).toBe(`node:${packageJson.devDependencies.node.replace(/^\^(\d+).*/, "$1")}-alpine`);
});

test("the worker is healthy when it is ready, asked where it answers, with what its image has", () => {
  expect(worker.healthcheck?.test).toEqual(["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/readyz"]);
  expect(worker.image).toMatch(/-alpine$/);
});

test("every named volume is declared", () => {
  const named = [redis, worker].flatMap(({ volumes }) => volumes.map((volume) => volume.split(":")[0] ?? "")).filter((name) => /^\w/.test(name));
  expect(Object.keys(file.volumes).toSorted()).toEqual(named.toSorted());
});

/** `--name value` pairs of a redis-server command line. */
function optionsOf(command: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(command.flatMap((word, at) => (word.startsWith("--") ? [[word.slice(2), command[at + 1]]] : [])));
}
