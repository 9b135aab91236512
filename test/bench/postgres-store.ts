/** A PostgreSQL of a benchmark's own, as `initdb` sets it up, where the programs are on this machine. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chown, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort, runGuarded } from "../support/redis-process.ts";
import type { Store } from "./store.ts";

const run = promisify(execFile);
const DATABASE = "bench";
/** It refuses to run as root: whom it runs as then. */
const NOBODY = { uid: 65_534, gid: 65_534 };
/** Debian has the programs here, and not on the PATH. */
const DEBIAN = "/usr/lib/postgresql";

/** Undefined, with a line that says so, where there is none. */
export async function openPostgres(): Promise<Store | undefined> {
  const programs = findPrograms();
  if (programs === undefined) {
    console.error(`no PostgreSQL here (initdb and postgres, on the PATH or below ${DEBIAN}): what stands on it is skipped`);
    return undefined;
  }
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-postgres-"));
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? NOBODY : {};
  if (isRoot) await chown(dir, NOBODY.uid, NOBODY.gid);
  const call = (program: string, ...args: string[]) => run(join(programs, program), args, { ...user, cwd: dir });
  const data = join(dir, "data");
  await call("initdb", "--username", "bench", "--auth", "trust", "--pgdata", data);
  const port = await freePort();
  const where = ["--host", "127.0.0.1", "--port", String(port), "--username", "bench"];
  const answers = async (): Promise<void> => {
    while (!(await call("pg_isready", ...where).then(() => true, () => false))) await sleep(50);
  };
  const server = await runGuarded(join(programs, "postgres"), ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", dir], answers, user);
  const { stdout } = await call("postgres", "--version");
  return {
    url: `postgres://bench@127.0.0.1:${port}/${DATABASE}`,
    version: stdout.trim().replace(/^postgres \(PostgreSQL\) (\S+).*$/, "PostgreSQL $1"),
    async reset() {
      await call("dropdb", ...where, "--if-exists", "--force", DATABASE);
      await call("createdb", ...where, DATABASE);
    },
    cpuUs: () => cpuUs(server.pid),
    memory: async () => Number.NaN,
    async [Symbol.asyncDispose]() {
      await server.end("SIGINT");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The folder of the newest that has them all. */
function findPrograms(): string | undefined {
  const newest = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((one, other) => Number(other) - Number(one)) : [];
  const folders = [...newest.map((version) => join(DEBIAN, version, "bin")), ...(process.env.PATH ?? "").split(delimiter)];
  return folders.find((folder) => ["initdb", "postgres", "pg_isready", "createdb", "dropdb"].every((name) => existsSync(join(folder, name))));
}

/** Of the server, its children that live and those that have ended; not a number where there is no /proc. */
async function cpuUs(pid: number): Promise<number> {
  try {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ").filter((child) => child !== "");
    const ticks = await Promise.all([ticksOf(pid, true), ...children.map((child) => ticksOf(child, false))]);
    return ticks.reduce((sum, each) => sum + each, 0) * 10_000;
  } catch {
    return Number.NaN;
  }
}

async function ticksOf(pid: number | string, withEnded: boolean): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ").map(Number);
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return user + system + (withEnded ? endedUser + endedSystem : 0);
}
