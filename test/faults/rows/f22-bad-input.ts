/** F22: input that must be refused, or come back as it was. */
import { isDeepStrictEqual } from "node:util";
import { handlers, options, payloads } from "../bad-input.ts";
import { scenario } from "../scenario.ts";
import type { Work } from "../work.ts";

const LONGEST_MS = 15_000;

export const f22 = scenario({
  row: "F22",
  title: "hostile input",
  targets: {
    changed: { label: "payloads taken, and changed or lost", atMost: 0 },
    taken: { label: "options taken that mean nothing", atMost: 0 },
    stuck: { label: "jobs that do not end", atMost: 0 },
    again: { label: "done, and run again", atMost: 0 },
    signalless: { label: "handlers without a signal", atMost: 0 },
  },
  mostPhases: 1,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const open = (queue: string) => stage.subject.openHere(redis.url, queue);

    const carrier = await open("payloads");
    const seen = new Map<string, unknown>();
    await carrier.run((payload, { id }) => void seen.set(id, payload));
    let changed = 0;
    for (const { payload } of payloads) {
      const id = await carrier.put(payload, {}).catch(() => undefined);
      if (id === undefined) continue;
      const hasCome = await stage.comesTrue(() => seen.has(id), LONGEST_MS);
      if (hasCome && isDeepStrictEqual(seen.get(id), payload)) continue;
      changed += 1;
    }

    let taken = 0;
    for (const [at, one] of options.entries()) {
      const queue = await open(`options-${at}`);
      if (await queue.put({}, one.options ?? {}).then(() => true, () => false)) taken += 1;
      await queue.close();
    }

    const runner = await open("handlers");
    const runs = handlers.map(() => 0);
    let signalless = 0;
    await runner.run((payload, { signal }) => {
      const { n } = payload as Work;
      runs[n] = (runs[n] ?? 0) + 1;
      if (!(signal instanceof AbortSignal)) signalless += 1;
      return handlers[n]!.handle();
    });
    const ids = await Promise.all(handlers.map((_, n) => runner.put({ n }, { attempts: 2 })));
    await stage.comesTrue(async () => (await Promise.all(ids.map((id) => runner.hasEnded(id)))).every(Boolean), LONGEST_MS);
    const ended = await Promise.all(ids.map((id) => runner.hasEnded(id)));
    await Promise.all([carrier.close(), runner.close()]);
    return {
      changed,
      taken,
      stuck: ended.filter((hasEnded) => !hasEnded).length,
      again: handlers.filter(({ isDone }, n) => isDone && runs[n]! > 1).length,
      signalless,
    };
  },
});
