/** Finds a Redis or Valkey server program on this machine, or gets one. */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { RedisServerError } from "../errors.ts";
import { OLDEST_VERSION } from "./preflight.ts";

const run = promisify(execFile);

/** A server program that is new enough. */
export interface ServerProgram {
  readonly path: string;
  /** `"7.0.15"`, of Redis or of Valkey. */
  readonly version: string;
}

const PROGRAMS = ["redis-server", "valkey-server"];
const INSTALL_MS = 300_000;
const POLICY = "/usr/sbin/policy-rc.d";

/** The first `redis-server` or `valkey-server` on the PATH that is new enough; `undefined` when there is none. */
export async function findServer(env: NodeJS.ProcessEnv = process.env): Promise<ServerProgram | undefined> {
  for (const path of candidates(env)) {
    const version = await versionOf(path);
    if (version !== undefined && !isOlder(version)) return { path, version };
  }
  return undefined;
}

/**
 * Finds a server program; without one installs it, as root on Debian or Ubuntu. Nothing is started: no service runs
 * afterwards, nor at the next boot.
 *
 * @param log  told what is done, one line each, before it is done
 * @throws RedisServerError with the command to give, where we may not or cannot install
 */
export async function ensureServer(log: (line: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<ServerProgram> {
  const found = await findServer(env);
  if (found !== undefined) return found;
  const platform = thisPlatform();
  if (platform.family !== "debian" || process.getuid?.() !== 0) throw missingServer(platform);
  log("no redis-server or valkey-server on the PATH: installing redis-server with apt-get");
  await installWithApt(log, candidates(env).length === 0);
  const installed = await findServer(env);
  if (installed === undefined) {
    throw new RedisServerError(`expected Redis ${OLDEST_VERSION} or newer on the PATH after apt-get install redis-server: ${olderHint(platform)}`);
  }
  log(`installed ${installed.path} ${installed.version}`);
  return installed;
}

/** What to install with, as far as it matters to us. */
export interface Platform {
  readonly family: "debian" | "fedora" | "rhel" | "alpine" | "arch" | "suse" | "macos" | "windows" | "other";
}

/** The command that installs a server on this platform, to be given by hand. */
export function installCommand(platform: Platform): string {
  switch (platform.family) {
    case "debian":
      return "sudo apt-get install -y redis-server";
    case "fedora":
      return "sudo dnf install -y valkey";
    case "rhel":
      return "sudo dnf install -y redis";
    case "alpine":
      return "apk add redis";
    case "arch":
      return "sudo pacman -S --noconfirm valkey";
    case "suse":
      return "sudo zypper install -y redis";
    case "macos":
      return "brew install redis";
    case "windows":
    case "other":
      return "docker run -d -p 6379:6379 redis:7 --appendonly yes, then set REDIS_URL=redis://localhost:6379";
  }
}

/** @param osRelease  the text of /etc/os-release, where there is one */
export function platformOf(system: NodeJS.Platform, osRelease: string): Platform {
  if (system === "darwin") return { family: "macos" };
  if (system === "win32") return { family: "windows" };
  const ids = new Set([...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap((match) => (match[1] ?? "").split(" ")));
  const has = (...names: string[]): boolean => names.some((name) => ids.has(name));
  if (has("debian", "ubuntu")) return { family: "debian" };
  if (has("rhel", "centos", "rocky", "almalinux", "amzn")) return { family: "rhel" };
  if (has("fedora")) return { family: "fedora" };
  if (has("alpine")) return { family: "alpine" };
  if (has("arch")) return { family: "arch" };
  if (has("suse", "opensuse")) return { family: "suse" };
  return { family: "other" };
}

function thisPlatform(): Platform {
  return platformOf(process.platform, existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "");
}

/** What to tell a user who has no server program. */
export function missingServer(platform: Platform = thisPlatform()): RedisServerError {
  return new RedisServerError(
    `expected redis-server or valkey-server ${OLDEST_VERSION} or newer on the PATH, found none: ${installCommand(platform)}; or set REDIS_URL to a server that runs`,
  );
}

function olderHint(platform: Platform): string {
  return platform.family === "debian" ? "packages.redis.io has newer ones; or set REDIS_URL to a server that runs" : "set REDIS_URL to a server that runs";
}

function candidates(env: NodeJS.ProcessEnv): string[] {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.flatMap((folder) => PROGRAMS.map((name) => join(folder, name)).filter(isExecutable));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Both say `… server v=7.0.15 …`. */
async function versionOf(path: string): Promise<string | undefined> {
  const { stdout } = await run(path, ["--version"], { timeout: 5000 }).catch(() => ({ stdout: "" }));
  return /\bv=(\d+(?:\.\d+)*)/.exec(stdout)?.[1];
}

function isOlder(version: string): boolean {
  return version.localeCompare(OLDEST_VERSION, "en", { numeric: true }) < 0;
}

async function installWithApt(log: (line: string) => void, fresh: boolean): Promise<void> {
  // The package's scripts ask policy-rc.d whether they may start the service. A container image usually says no already.
  const ownPolicy = !existsSync(POLICY);
  if (ownPolicy) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    try {
      await apt("install");
    } catch {
      // Package lists that are missing or stale.
      log("fetching the package lists with apt-get update");
      await apt("update");
      await apt("install");
    }
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? (error as Error).message).trim().split("\n").slice(-3).join(" ");
    throw new RedisServerError(`apt-get could not install redis-server: ${said}; or set REDIS_URL to a server that runs`, { cause: error });
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
  }
  // Installed as a means to an end, not to run at every boot; unless one was there before. Without systemd nothing would.
  if (fresh) await run("systemctl", ["disable", "--now", "redis-server"], { timeout: 30_000 }).catch(() => undefined);
}

function apt(verb: "install" | "update"): Promise<unknown> {
  const lock = ["-o", "DPkg::Lock::Timeout=120"];
  const args = verb === "update" ? [...lock, "update"] : [...lock, "install", "-y", "--no-install-recommends", "redis-server"];
  return run("apt-get", args, { timeout: INSTALL_MS, maxBuffer: 16 * 1024 * 1024, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
}
