/** What runs the servers of the suite: a `redis-server` of this machine, or containers where somebody asks for them. */
import { ensureServer } from "../../src/redis/server.ts";
import { serverImage, type ServerProgram } from "../support/server-image.ts";

export interface SuiteServer {
  readonly program: ServerProgram;
  /** For the report. */
  readonly version: string;
}

/** @throws when containers are asked for, and no Docker engine answers */
export async function suiteServer(inContainers = false): Promise<SuiteServer> {
  if (inContainers || process.env["FAULTS_CONTAINERS"] === "1") {
    const program = await serverImage();
    return { program, version: program.image };
  }
  const { path, version } = await ensureServer((line) => console.error(line));
  return { program: path, version };
}
