/** What is said of stock BullMQ workers, beside what is listed of ours: without it a list would say that nothing runs where they run jobs. */
import type { StockWorkers } from "../admin/workers.ts";
import type { Output } from "./output.ts";
import { counted } from "./quantity.ts";
import { printable } from "./table.ts";

const QUEUES_NAMED = 5;

export function tellOfStock(output: Output, stock: readonly StockWorkers[]): void {
  const [first, ...more] = stock;
  if (first === undefined) return;
  const named = stock.slice(0, QUEUES_NAMED).map(({ queue, workers }) => (workers === 1 ? printable(queue) : `${printable(queue)} (${workers} of them)`));
  const others = stock.length > QUEUES_NAMED ? ` and ${counted(stock.length - QUEUES_NAMED, "more queue")}` : "";
  const queue = more.length === 0 ? printable(first.queue) : "QUEUE";
  output.warning(`stock BullMQ workers take jobs of ${named.join(", ")}${others}, and are not listed: job list ${queue} --state active shows what they run`);
}
