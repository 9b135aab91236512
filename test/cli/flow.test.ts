import { expect, test } from "vitest";
import { stockFlows } from "../interop/stock.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

test("flow show prints a tree with states, and JSON; a job that is not there ends with 4", async () => {
  const prefix = freshPrefix();
  const env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  const child = (id: string) => ({ name: "child", queueName: "parts", opts: { jobId: id } });
  await stockFlows(prefix).add({ name: "order", queueName: "orders", opts: { jobId: "whole" }, children: [child("one"), child("two"), child("zwei")] });
  const [text, cut, json, gone, wrong] = await Promise.all([
    millrace(["flow", "show", "parts", "two"], { env }),
    millrace(["flow", "show", "orders", "whole", "--limit", "2"], { env }),
    millrace(["flow", "show", "orders", "whole", "--json"], { env }),
    millrace(["flow", "show", "orders", "gone"], { env }),
    millrace(["flow", "show", "orders", "whole", "--limit", "many"], { env }),
  ]);
  expect(text.stdout).toBe("waiting-children  order orders/whole\n├─ waiting  child parts/one\n├─ waiting  child parts/two\n└─ waiting  child parts/zwei\n");
  expect(cut.stdout).toMatch(/^waiting-children {2}order orders\/whole\n├─ waiting {2}child parts\/\w+\n└─ and 2 more jobs: --limit shows more\n$/);
  expect(JSON.parse(json.stdout)).toMatchObject({ queue: "orders", id: "whole", state: "waiting-children", asked: true, children: [{ id: "one" }, { id: "two" }, { id: "zwei" }] });
  expect([gone.code, wrong.code]).toEqual([4, 2]);
});
