/** Millrace as it would be without telemetry: nothing is counted, told or written down. */
import { HistoryKeeper } from "../../../src/queue/history-keeper.ts";
import { QueueMeter } from "../../../src/telemetry/meter.ts";
import type { Subject } from "../subject.ts";
import { millrace } from "./millrace.ts";

export const untold: Subject = {
  ...millrace,
  notes: "its meters are replaced by ones that do nothing",
  open(url, setting) {
    const nothing = (): void => undefined;
    Object.assign(QueueMeter.prototype, { put: nothing, started: nothing, ended: nothing, take: nothing });
    HistoryKeeper.prototype.write = async () => undefined;
    return millrace.open(url, setting);
  },
};
