/** Input that nobody should send, and somebody will: payloads, options of a put, and what handlers throw and return. */

export interface BadPut {
  readonly title: string;
  readonly payload?: unknown;
  /** In Millrace's words. */
  readonly options?: object;
}

const circle: Record<string, unknown> = {};
circle["itself"] = circle;

class Money {
  readonly cents = 5;
}

/** May be refused, or come to the handler as they are; nothing between. */
export const payloads: readonly BadPut[] = [
  { title: "undefined in a list", payload: [undefined] },
  { title: "a function", payload: { f: () => 1 } },
  { title: "a symbol", payload: { s: Symbol("s") } },
  { title: "a Map", payload: { m: new Map([[1, 2]]) } },
  { title: "a Set", payload: { s: new Set([1]) } },
  { title: "a Date", payload: { at: new Date(0) } },
  { title: "a RegExp", payload: { r: /x/ } },
  { title: "an instance of a class", payload: { price: new Money() } },
  { title: "NaN", payload: { mean: Number.NaN } },
  { title: "Infinity", payload: { most: Infinity } },
  { title: "a bigint", payload: { n: 1n } },
  { title: "an integer beyond 2^53", payload: { n: 2 ** 53 + 2 } },
  { title: "a circle", payload: circle },
  { title: "a Buffer", payload: { bytes: Buffer.from("x") } },
  { title: "an Error", payload: { error: new Error("x") } },
  { title: "a Promise", payload: { later: Promise.resolve(1) } },
  { title: "a hole", payload: Object.assign([], { length: 2 }) },
  { title: "8 MB", payload: { text: "x".repeat(8 << 20) } },
  { title: "ten thousand levels", payload: Array.from({ length: 10_000 }).reduce<unknown>((inner) => [inner], 1) },
  { title: "a getter that throws", payload: { get trap(): never { throw new Error("trap"); } } },
  { title: "toJSON", payload: { toJSON: () => 5 } },
  { title: "a key named __proto__", payload: JSON.parse('{"__proto__":{"admin":true},"a":1}') },
  { title: "a zero byte, half a surrogate and an emoji", payload: { text: "\u0000 \ud800 😀" } },
  { title: "keys that look like Redis's", payload: { "bull:work:meta": "*3\r\n$3\r\nSET\r\n" } },
  { title: "an empty text", payload: "" },
  { title: "null", payload: null },
];

/** Must be refused. */
export const options: readonly BadPut[] = [
  ...["meta", "completed", "wait", "events", "", "a:b", "17", "x".repeat(201), "a\nb", "\ud800"].map((id) => ({ title: `id ${JSON.stringify(id).slice(0, 30)}`, options: { id } })),
  ...[-1, "soon", 1e15, Number.NaN].map((delay) => ({ title: `delay ${delay}`, options: { delay } })),
  ...[-1, 1.5, 2 ** 21 + 1, "high"].map((priority) => ({ title: `priority ${priority}`, options: { priority } })),
  ...[0, -1, 2.5, "3"].map((attempts) => ({ title: `attempts ${attempts}`, options: { attempts } })),
  { title: "a misspelt option", options: { dealy: 5 } },
  { title: "an unknown back-off", options: { backoff: { type: "whatever", delay: 5 } } },
  { title: "options that are none", options: 5 as unknown as object },
];

export interface BadHandler {
  readonly title: string;
  readonly handle: () => unknown;
  /** Its work was done: it may not be done again. */
  readonly isDone?: true;
}

/** Whatever they do, the job ends. */
export const handlers: readonly BadHandler[] = [
  { title: "throws undefined", handle: () => Promise.reject(undefined) },
  { title: "throws null", handle: () => Promise.reject(null) },
  { title: "throws a text", handle: () => Promise.reject("oh no") },
  { title: "throws an object without a prototype", handle: () => Promise.reject(Object.create(null)) },
  { title: "throws an error whose message throws", handle: () => Promise.reject(Object.defineProperty(new Error("x"), "message", { get: () => { throw new Error("trap"); } })) },
  { title: "throws before it gives a promise", handle: () => { throw new Error("at once"); } },
  { title: "throws a message of megabytes", handle: () => Promise.reject(new Error("x".repeat(5_000_000))) },
  { title: "returns a bigint", handle: async () => 1n, isDone: true },
  { title: "returns a circle", handle: async () => circle, isDone: true },
  { title: "returns what throws when it is read", handle: async () => ({ get trap(): never { throw new Error("trap"); } }), isDone: true },
];
