/** Does one thing to many queues at once: to one after another, it would wait a thousand times for the way to Redis and back. */

const AT_ONCE = 25;

/**
 * @param names  may still be looked for
 * @returns what `work` gave for each, in the order of the names
 * @throws the first error of `work`, or of who looks for names; no other queue is begun after it
 */
export async function eachQueue<T>(names: Iterable<string> | AsyncIterable<string>, work: (name: string) => Promise<T>): Promise<T[]> {
  const shared = (async function* () {
    yield* names;
  })();
  const results: T[] = [];
  let begun = 0;
  const lane = async (): Promise<void> => {
    for await (const name of shared) {
      const place = begun++;
      results[place] = await work(name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}
