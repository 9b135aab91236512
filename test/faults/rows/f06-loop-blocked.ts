/** F6: a handler blocks the event loop of its process for a minute. */
import { scenario } from "../scenario.ts";

export const f06 = scenario({
  row: "F6",
  title: "event loop blocked 60 s",
  targets: {
    reruns: { label: "run again", atMost: 0 },
    unfinished: { label: "not completed", atMost: 0 },
    unreported: { label: "blocks that the log does not tell", atMost: 0 },
  },
  together: 5,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const blocked = await stage.worker(redis.url);
    // One that blocks, and one beside it that cannot help it.
    const works = [...stage.works(1, "sleep", [stage.between(3000, 6000)]), ...stage.works(1, "block", [60_000])];
    await producer.put(works);
    await stage.until(() => stage.did("started").length === works.length);
    await stage.worker(redis.url);
    const isOver = async (): Promise<boolean> => (await stage.stored()).every(({ states }) => states.includes("completed") || states.includes("failed"));
    await stage.comesTrue(isOver);
    const completed = (await stage.stored()).filter(({ states }) => states.includes("completed")).length;
    const [told] = stage.jobs(works.slice(1));
    const isReported = blocked.said.split("\n").some((line) => /block/i.test(line) && line.includes(told!.id));
    return { reruns: stage.did("started").length - works.length, unfinished: works.length - completed, unreported: isReported ? 0 : 1 };
  },
});
