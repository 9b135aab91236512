/**
 * Which partition a text belongs to: the id of a job, or the key that it was put by. Every process that names a queue
 * must come to the same, so what this gives never changes.
 */

/** @param count  how many partitions there are @returns one from 0 on */
export function partitionOf(text: string, count: number): number {
  return spread(hashOf(text)) % count;
}

/** Fowler, Noll and Vo's hash (FNV-1a, 32 bits) over the units of UTF-16. */
export function hashOf(text: string, hash = 0x811c9dc5): number {
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3: FNV's lowest bits follow those of the text too closely to be divided by a small number. */
export function spread(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
