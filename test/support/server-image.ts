/**
 * A server of the tests in a container, by the `docker` command: with the arguments, the folder and the ports of this
 * machine, so that whoever breaks it and whoever looks at its files need not know.
 */
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";

/** What runs servers: a program of this machine, by its path, or an image. */
export type ServerProgram = string | ServerImage;

export interface ServerImage {
  /** Has a `redis-server`. */
  readonly image: string;
}

const IMAGE = "redis:7.4-alpine";

/** @throws when no Docker engine answers */
export async function serverImage(env: NodeJS.ProcessEnv = process.env): Promise<ServerImage> {
  try {
    await promisify(execFile)("docker", ["info"], { env });
  } catch (error) {
    const { stderr = "", message } = error as Error & { readonly stderr?: string };
    const said = stderr.trim().split("\n").at(-1) || message;
    throw new Error(`servers in containers need a Docker engine: expected docker info to answer, got: ${said}: start one, or leave out --containers and FAULTS_CONTAINERS`, { cause: error });
  }
  return { image: IMAGE };
}

/** @param dir  all files that the arguments name are in it */
export function containerCommand({ image }: ServerImage, name: string, dir: string, args: readonly string[]): readonly string[] {
  // Its files are ours: not of the user that the image's own entry point would change to.
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return ["docker", "run", "--rm", "--name", name, "--network", "host", "--user", user, "--volume", `${dir}:${dir}`, "--entrypoint", "redis-server", image, ...args];
}

/** @returns the id that the server has on this machine */
export function pidOf(name: string): number {
  return Number(execFileSync("docker", ["inspect", "--format", "{{.State.Pid}}", name], { encoding: "utf8" }));
}

/** @throws when it runs no more */
export function signalContainer(name: string, signal: NodeJS.Signals): void {
  execFileSync("docker", ["kill", "--signal", signal, name], { stdio: "ignore" });
}
