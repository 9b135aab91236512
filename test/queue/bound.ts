/** A process that is bound to its parent, and takes its own loop for held up for as many milliseconds as said. */
import { bondToParent, endWithParent, watchParent } from "../../src/queue/parent.ts";

endWithParent(1000);
const bond = bondToParent();
if (bond !== undefined) watchParent(bond, () => Number(process.argv[2]));
setInterval(() => undefined, 1000);
process.stdout.write(`${process.pid}\n`);
