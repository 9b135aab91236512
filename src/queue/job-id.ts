/** Ids of jobs, given by the producer: BullMQ's counter re-uses ids after a restore, and doubles a job that is sent twice. */
import { v7 } from "uuid";
import { hashOf, spread } from "./partition-of.ts";

/** A UUIDv7 (RFC 9562) in 22 characters of base64url: 36 more bytes a job would be a tenth of its memory. */
export function newJobId(): string {
  return Buffer.from(v7({ random: randomBytes() }, new Uint8Array(16))).toString("base64url");
}

/** As `newJobId`, one that belongs to a partition, so that the job is found by its id alone: two of its random characters are chosen for that. */
export function newJobIdIn(partition: number, count: number): string {
  for (;;) {
    const id = newJobId();
    const start = hashOf(id.slice(0, CHOSEN));
    const last = id.slice(CHOSEN + 2);
    // From where the id stands, so that the choice is as random as what it replaces.
    const from = ALPHABET.indexOf(id[CHOSEN]!) * 64 + ALPHABET.indexOf(id[CHOSEN + 1]!);
    for (let tried = 0; tried < 64 * 64; tried += 1) {
      const pair = (from + tried) % (64 * 64);
      const chosen = ALPHABET[pair >> 6]! + ALPHABET[pair % 64]!;
      if (spread(hashOf(last, hashOf(chosen, start))) % count === partition) return id.slice(0, CHOSEN) + chosen + last;
    }
  }
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** All of their bits are random, in a UUIDv7. */
const CHOSEN = 19;

/** Asking the system takes longer than all else about an id, so it is asked for many at once. */
const drawn = new Uint8Array(4096);
let used = drawn.length;

function randomBytes(): Uint8Array {
  if (used === drawn.length) {
    crypto.getRandomValues(drawn);
    used = 0;
  }
  used += 16;
  return drawn.subarray(used - 16, used);
}
