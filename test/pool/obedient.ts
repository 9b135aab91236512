/** A worker process without a queue: it tells what its argument says, and obeys as it says. */
import { Supervised } from "../../src/pool/supervised.ts";
import type { WorkerReport } from "../../src/pool/supervision.ts";

export type Manner = "well" | "busy" | "spent" | "stuck" | "deaf" | "refuses" | "crashes" | "leaves" | "renewed";

const manner = process.argv[2] as Manner;
const supervised = Supervised.here();
if (supervised === undefined) throw new Error("expected a supervisor");
if (manner === "refuses") process.exit(4);

const report: WorkerReport = { state: "ready", running: 0, ended: manner === "spent" ? 10 : 0, stuck: manner === "stuck" ? 3 : 0, rssBytes: 1, redis: true, ...(manner === "leaves" && { wish: "end" }), ...(manner === "renewed" && { wish: "replacement" }) };
supervised.obey({
  onOrder({ order, by }) {
    process.stdout.write(`${order} by ${by}\n`);
    if (manner === "deaf" || (manner === "busy" && order === "stop")) return;
    process.exit(0);
  },
  onSteer: ({ order }) => process.stdout.write(`${order}\n`),
  onOrphaned: () => process.exit(0),
});
supervised.keepTelling(() => report);
if (manner === "leaves") setTimeout(() => process.exit(0), 50);
if (manner === "crashes") setTimeout(() => process.exit(1), 50);
