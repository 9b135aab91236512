/** The handler that `millrace worker start` runs in every scenario. */
import { defineHandler } from "millrace";
import { ledgerOfProcess } from "./ledger-of-process.ts";
import { work } from "./millrace.ts";
import { perform } from "./work.ts";

const { ledger, earlier } = ledgerOfProcess();

export default defineHandler(work, {
  handle: (payload, { id, fence, attempt, signal }) => perform(payload, { id, fence: Number(fence), attempt, signal }, ledger, earlier),
});
