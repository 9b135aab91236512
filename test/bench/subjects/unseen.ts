/** Millrace as it would be without control: its pools neither register nor listen to operators. */
import { Steering } from "../../../src/pool/steering.ts";
import type { Subject } from "../subject.ts";
import { millrace } from "./millrace.ts";

export const unseen: Subject = {
  ...millrace,
  notes: "its pools do not register, nor listen to operators",
  open(url, setting) {
    Steering.prototype.begin = () => undefined;
    return millrace.open(url, setting);
  },
};
