/**
 * The Redis keys and channels between operators and running pools. A queue named `millrace` has none like them: the ids of
 * its jobs hold no colon.
 */

/** Sorted: the ids of all pools, each by when it would count as gone. */
export function poolIndexKey(prefix: string): string {
  return `${prefix}:millrace:control:pools`;
}

/** Sorted: the queues that pools have consumed lately, each by when one began to. */
export function consumedQueuesKey(prefix: string): string {
  return `${prefix}:millrace:control:queues`;
}

/** Begins the keys of pools; an id follows. Each is a hash that ends by itself soon after its pool. */
export function poolKeyBase(prefix: string): string {
  return `${prefix}:millrace:control:pool:`;
}

/** On it every pool hears messages. */
export function messageChannel(prefix: string): string {
  return `${prefix}:millrace:control:messages`;
}

/** On it somebody who asked hears answers. */
export function answerChannel(prefix: string, messageId: string): string {
  return `${prefix}:millrace:control:answers:${messageId}`;
}
