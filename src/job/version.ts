/**
 * How the version that a stored job was put under relates to a contract, for deploys where both old and new run.
 *
 * | relation | what it means | what a worker does |
 * | --- | --- | --- |
 * | same | the contract's own version | reads it with `payload` |
 * | older | below it, and `previous` reads it | reads it with `previous[version]` |
 * | newer | above it: this worker is behind | gives it back, no attempt spent |
 * | unknown | below it, and `previous` does not read it | dead letter |
 */
import type { JobDefinition } from "./contract.ts";

export type VersionRelation = "same" | "older" | "newer" | "unknown";

/** @param version  as stored; undefined where a stock producer wrote none, which counts as the contract's own. A stock processor reads any */
export function versionRelation(definition: JobDefinition, version: number | undefined): VersionRelation {
  if (version === undefined || version === definition.version || definition.stock !== undefined) return "same";
  if (version > definition.version) return "newer";
  return definition.previous[version] === undefined ? "unknown" : "older";
}
