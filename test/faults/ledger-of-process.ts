/** The ledger as the processes of a scenario find it; they end with the one that runs the scenario. */
import { JournalReader } from "../support/journal.ts";
import { Ledger, type Entry } from "./ledger.ts";

export interface LedgerOfProcess {
  readonly ledger: Ledger;
  /** How many runs of a work have started, in whatever process. */
  earlier(n: number): number;
}

export function ledgerOfProcess(): LedgerOfProcess {
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const path = process.env["FAULTS_LEDGER"] ?? "";
  const reader = new JournalReader<Entry>(path);
  return { ledger: new Ledger(path), earlier: (n) => reader.read().filter((entry) => entry.did === "started" && entry.n === n).length };
}
