/** A TCP proxy that breaks connections the way networks do. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** From now on connections that exist carry nothing more and are not closed: half-open. New ones work. */
  silence(): void;
  /** Answers on connections that exist are lost, requests still go through; then the connections break. */
  loseReplies(): void;
  /** Closes every connection. */
  cut(): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  silent: boolean;
  deaf: boolean;
}

/** @param delayMs  so long every request is on its way */
export async function startProxy(targetPort: number, delayMs = 0): Promise<Proxy> {
  const pairs = new Set<Pair>();
  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(targetPort, "127.0.0.1"), silent: false, deaf: false };
    pairs.add(pair);
    const write = (bytes: Buffer): void => void (pair.silent || pair.server.write(bytes));
    client.on("data", (bytes: Buffer) => (delayMs === 0 ? write(bytes) : setTimeout(write, delayMs, bytes)));
    pair.server.on("data", (bytes) => {
      if (pair.deaf) client.destroy();
      else if (!pair.silent) client.write(bytes);
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
    cut,
    [Symbol.asyncDispose]: async () => {
      cut();
      listener.close();
      await once(listener, "close");
    },
  };
}
