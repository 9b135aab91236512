/** Ids of jobs, given by the producer: BullMQ's counter re-uses ids after a restore, and doubles a job that is sent twice. */
import { v7 } from "uuid";

/** A UUIDv7 (RFC 9562) in 22 characters of base64url: 36 more bytes a job would be a tenth of its memory. */
export function newJobId(): string {
  return Buffer.from(v7({ random: randomBytes() }, new Uint8Array(16))).toString("base64url");
}

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
