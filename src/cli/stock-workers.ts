/** What is said of stock BullMQ workers, which register nowhere and hear no message. */
import type { StockWorkers } from "../admin/workers.ts";
import type { Output } from "./output.ts";
import { counted } from "./quantity.ts";
import { printable } from "./table.ts";

const QUEUES_NAMED = 5;

/** Beside the list of ours: without it that would say that nothing runs where they run jobs. */
export function tellOfStock(output: Output, stock: readonly StockWorkers[]): void {
  if (stock.length === 0) return;
  const named = stock.slice(0, QUEUES_NAMED).map(({ queue, workers }) => (workers === 1 ? printable(queue) : `${printable(queue)} (${workers} of them)`));
  const others = stock.length > QUEUES_NAMED ? ` and ${counted(stock.length - QUEUES_NAMED, "more queue")}` : "";
  output.warning(`stock BullMQ workers take jobs of ${named.join(", ")}${others}, and are not listed: task list shows what they run`);
}

/** They do not read what is written down with a job. */
export function tellOfNoCancel(output: Output, queue: string): void {
  output.warning(`stock BullMQ workers take jobs of ${printable(queue)}, and hear of no cancel: what one of them runs goes on, and is cancelled where a worker of Millrace takes it next`);
}
