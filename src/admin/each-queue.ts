/** Does one thing to many queues at once: to one after another, it would wait a thousand times for the way to Redis and back. */

const AT_ONCE = 25;

/**
 * @param names  may still be looked for
 * @returns what `work` gave for each, in the order of the names
 * @throws the first error of `work`, or of who looks for names; no other queue is begun after it
 */
export async function eachQueue<T>(names: Iterable<string> | AsyncIterable<string>, work: (name: string) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for await (const result of queueByQueue(names, work)) results.push(result);
  return results;
}

/** As `eachQueue`, each as soon as it and those before it are there. */
export async function* queueByQueue<T>(names: Iterable<string> | AsyncIterable<string>, work: (name: string) => Promise<T>): AsyncGenerator<T, void> {
  const shared = (async function* () {
    yield* names;
  })();
  const results = new Map<number, T>();
  let begun = 0;
  let changed = Promise.withResolvers<boolean>();
  const lane = async (): Promise<void> => {
    for await (const name of shared) {
      const place = begun++;
      results.set(place, await work(name));
      changed.resolve(false);
    }
  };
  const ended = Promise.all(Array.from({ length: AT_ONCE }, lane)).then(() => true);
  ended.catch(() => undefined); // thrown below, unless nobody asks any more
  try {
    for (let [given, isOver] = [0, false]; !isOver; ) {
      isOver = await Promise.race([ended, changed.promise]);
      changed = Promise.withResolvers();
      for (; results.has(given); given += 1) {
        yield results.get(given)!;
        results.delete(given);
      }
    }
  } finally {
    await shared.return();
  }
}
