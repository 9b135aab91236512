/**
 * What is compared by `npm run bench -- concurrency`: the same work done with our primitives and with those of others.
 * A library stands only where it has the thing: async-mutex has locks, p-queue limits, effection tasks and queues.
 */

/** Does the work of one measure `count` times over, and resolves when all of it has ended. */
export type Work = (count: number) => Promise<void>;

export const subjects = ["millrace", "p-queue", "async-mutex", "effection"] as const;
export type SubjectName = (typeof subjects)[number];

export const measures = [
  "spawn and await",
  "semaphore, free",
  "semaphore, in line",
  "queue, put then get",
  "queue, putNoWait then get",
  "queue, producer and consumer",
  "gather of 1,000",
] as const;
export type MeasureName = (typeof measures)[number];

/** How often the work of a measure is done in one go; the clock is looked at in between. */
export const goOf = (measure: MeasureName): number => (measure === "gather of 1,000" ? 1 : 1000);
/** What counts: for gather, each of its thousand. */
export const unitsOf = (measure: MeasureName): number => (measure === "gather of 1,000" ? 1000 : 1);

const permits = 10;
/** Those who share the ten permits when there is a line. */
const contenders = 100;
const gathered = 1000;

/** Opens only what is asked for, so that no subject's code is in the process of another. */
export const open: Record<SubjectName, () => Promise<Partial<Record<MeasureName, Work>>>> = {
  async millrace() {
    const { gather, Queue, Semaphore, spawn } = await import("millrace/concurrency");
    const one = async (): Promise<number> => 1;
    return {
      async "spawn and await"(count) {
        for (let done = 0; done < count; done += 1) await spawn(one);
      },
      async "semaphore, free"(count) {
        const semaphore = new Semaphore(permits);
        for (let done = 0; done < count; done += 1) (await semaphore.acquire())[Symbol.dispose]();
      },
      "semaphore, in line"(count) {
        const semaphore = new Semaphore(permits);
        return inLine(count, async () => {
          const permit = await semaphore.acquire();
          await undefined;
          permit[Symbol.dispose]();
        });
      },
      async "queue, put then get"(count) {
        const queue = new Queue<number>();
        for (let done = 0; done < count; done += 1) {
          await queue.put(done);
          await queue.get();
        }
      },
      async "queue, putNoWait then get"(count) {
        const queue = new Queue<number>();
        for (let done = 0; done < count; done += 1) {
          queue.putNoWait(done);
          await queue.get();
        }
      },
      async "queue, producer and consumer"(count) {
        const queue = new Queue<number>();
        const consumer = spawn(async () => {
          for (let done = 0; done < count; done += 1) await queue.get();
        });
        for (let done = 0; done < count; done += 1) await queue.put(done);
        await consumer;
      },
      async "gather of 1,000"(count) {
        for (let done = 0; done < count; done += 1) await gather(Array.from({ length: gathered }, () => one));
      },
    };
  },

  async "p-queue"() {
    const { default: PQueue } = await import("p-queue");
    const one = async (): Promise<number> => 1;
    return {
      async "spawn and await"(count) {
        const queue = new PQueue();
        for (let done = 0; done < count; done += 1) await queue.add(one);
      },
      async "semaphore, free"(count) {
        const queue = new PQueue({ concurrency: permits });
        for (let done = 0; done < count; done += 1) await queue.add(one);
      },
      "semaphore, in line"(count) {
        const queue = new PQueue({ concurrency: permits });
        return inLine(count, () => queue.add(() => Promise.resolve()));
      },
      async "gather of 1,000"(count) {
        const queue = new PQueue();
        for (let done = 0; done < count; done += 1) await queue.addAll(Array.from({ length: gathered }, () => one));
      },
    };
  },

  async "async-mutex"() {
    const { Semaphore } = await import("async-mutex");
    return {
      async "semaphore, free"(count) {
        const semaphore = new Semaphore(permits);
        for (let done = 0; done < count; done += 1) (await semaphore.acquire())[1]();
      },
      "semaphore, in line"(count) {
        const semaphore = new Semaphore(permits);
        return inLine(count, async () => {
          const [, release] = await semaphore.acquire();
          await undefined;
          release();
        });
      },
    };
  },

  async effection() {
    const { all, createQueue, run, spawn } = await import("effection");
    // oxlint-disable-next-line require-yield -- an operation that ends at once
    function* one() {
      return 1;
    }
    const putThenGet: Work = (count) =>
      run(function* () {
        const queue = createQueue<number, void>();
        for (let done = 0; done < count; done += 1) {
          queue.add(done);
          yield* queue.next();
        }
      });
    return {
      "spawn and await": (count) =>
        run(function* () {
          for (let done = 0; done < count; done += 1) yield* yield* spawn(one);
        }),
      "queue, put then get": putThenGet,
      "queue, putNoWait then get": putThenGet,
      "queue, producer and consumer": (count) =>
        run(function* () {
          const queue = createQueue<number, void>();
          const consumer = yield* spawn(function* () {
            for (let done = 0; done < count; done += 1) yield* queue.next();
          });
          for (let done = 0; done < count; done += 1) queue.add(done);
          yield* consumer;
        }),
      "gather of 1,000": (count) =>
        run(function* () {
          for (let done = 0; done < count; done += 1) yield* all(Array.from({ length: gathered }, one));
        }),
    };
  },
};

/** `count` uses, by a hundred who all come back again and again. */
async function inLine(count: number, use: () => Promise<unknown>): Promise<void> {
  let left = count;
  const contend = async (): Promise<void> => {
    while (left-- > 0) await use();
  };
  await Promise.all(Array.from({ length: contenders }, contend));
}
