/** Lets who reads and who uses what was read work at once. */

/**
 * The same items; each is given while the next one is being read. Not for who changes what is still to be read.
 *
 * @throws what `items` throws, in its turn
 */
export async function* readAhead<T>(items: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  try {
    let coming = items.next();
    for (let item = await coming; item.done !== true; item = await coming) {
      coming = items.next();
      coming.catch(() => undefined); // thrown above, unless nobody asks for it any more
      yield item.value;
    }
  } finally {
    await items.return();
  }
}
