/** What `millrace demo DIR` does, with no queue: the same walk and the same digest of each file, so many at once, or one after another. Prints how many. */
import { gather, range } from "millrace/concurrency";
import { openTree } from "../../../producers/files.ts";
import { digestFile } from "../../../workers/digest.ts";

const [dir = "", lanes = "1"] = process.argv.slice(2);
const { signal } = new AbortController();
await using tree = await openTree(dir);
const digests = new Map<string, unknown>();
await gather(
  range(Number(lanes)).map(() => async () => {
    for await (const entry of tree.entries) {
      if ("error" in entry) throw new Error(entry.error);
      const path = `${tree.root.toString()}/${entry.path.toString()}`;
      digests.set(path, await digestFile({ path }, { signal }));
    }
  }),
);
console.log(digests.size);
