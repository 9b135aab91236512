/** A TCP proxy that breaks connections the way networks do. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** From now on connections that exist carry nothing more and are not closed: half-open. New ones work. */
  silence(): void;
  /** Answers on connections that exist are lost, requests still go through; then the connections break. */
  loseReplies(): void;
  /** From now on a request like this goes through, and nothing comes back on its connection any more, which stays open. */
  holdReplies(to: RegExp): void;
  /** So long every request is on its way from now on, in its order. */
  delay(ms: number): void;
  /** Closes every connection. */
  cut(): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  silent: boolean;
  deaf: boolean;
  held: boolean;
  /** Requests on their way, and when the last of them has come. */
  onTheWay: number;
  way: Promise<void>;
}

/** @param delayMs  so long every request is on its way */
export async function startProxy(targetPort: number, delayMs = 0): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let heldTo: RegExp | undefined;
  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(targetPort, "127.0.0.1"), silent: false, deaf: false, held: false, onTheWay: 0, way: Promise.resolve() };
    pairs.add(pair);
    const write = (bytes: Buffer): void => void (pair.silent || pair.server.write(bytes));
    client.on("data", (bytes: Buffer) => {
      pair.held ||= heldTo?.test(bytes.toString("latin1")) ?? false;
      if (delayMs === 0 && pair.onTheWay === 0) return write(bytes);
      const dueAt = performance.now() + delayMs;
      pair.onTheWay += 1;
      pair.way = pair.way.then(() => sleep(Math.max(0, dueAt - performance.now()))).then(() => ((pair.onTheWay -= 1), write(bytes)));
    });
    pair.server.on("data", (bytes) => {
      if (pair.deaf) client.destroy();
      else if (!pair.silent && !pair.held) client.write(bytes);
    });
    for (const [one, other] of [[client, pair.server], [pair.server, client]] as const) {
      one.on("error", () => undefined);
      one.on("close", () => {
        if (pair.silent && one === pair.server) return;
        other.destroy();
        pairs.delete(pair);
      });
    }
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const cut = (): void => {
    for (const pair of pairs) pair.client.destroy();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    silence: () => {
      for (const pair of pairs) pair.silent = true;
    },
    loseReplies: () => {
      for (const pair of pairs) pair.deaf = true;
    },
    holdReplies: (to) => void (heldTo = to),
    delay: (ms) => void (delayMs = ms),
    cut,
    [Symbol.asyncDispose]: async () => {
      cut();
      listener.close();
      await once(listener, "close");
    },
  };
}
