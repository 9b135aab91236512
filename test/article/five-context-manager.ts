/**
 * The article's fifth program: an HTTP session and a response, each opened and surely closed. Python says `async with`,
 * JavaScript `await using`: closed from the last to the first, however the body ends. Its argument is a URL.
 */
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { run } from "millrace/concurrency";

const url = process.argv[2] ?? "";

class Session implements AsyncDisposable {
  readonly #agent = new Agent({ keepAlive: true });

  async get(url: string, signal: AbortSignal): Promise<Response> {
    const [message] = (await once(get(url, { agent: this.#agent, signal }), "response")) as [IncomingMessage];
    return new Response(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    console.log("session closed");
  }
}

class Response implements AsyncDisposable {
  readonly #message: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  text(): Promise<string> {
    return text(this.#message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#message.destroy();
    console.log("response closed");
  }
}

await run(async (signal) => {
  await using session = new Session();
  await using response = await session.get(url, signal);
  console.log(await response.text());
});
