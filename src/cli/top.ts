/** `top`: a live view of queues, workers and tasks, with keys to sort, pause, cancel and scale. */
import type { Operator } from "../admin/operator.ts";
import { watchOverview, type Overview } from "../admin/overview.ts";
import { pauseQueue, resumeQueue } from "../admin/queue-changes.ts";
import { cancelTask } from "../admin/tasks.ts";
import { scaleWorkers } from "../admin/worker-verbs.ts";
import { sleep } from "../concurrency/sleep.ts";
import { OptionError } from "../errors.ts";
import { openOperator, type Context } from "./context.ts";
import { FullScreen } from "./full-screen.ts";
import { describe } from "./output.ts";
import type { Deed } from "./top-lists.ts";
import { topLines } from "./top-screen.ts";
import { FIRST_VIEW, press } from "./top-view.ts";

const LOOK_MS = 2000;

/** @throws OptionError where there is no terminal */
export async function top(context: Context): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY || context.output.json) throw new OptionError("expected a terminal for top: programs read millrace queue stats QUEUE --watch --json");
  await using operator = await openOperator(context);
  await new Top(operator, context.interruption.signal).run();
}

class Top {
  readonly #operator: Operator;
  readonly #interrupted: AbortSignal;
  readonly #over = new AbortController();
  readonly #look: () => Promise<Overview>;
  #overview: Overview = { at: 0, queues: [], workers: [], tasks: [] };
  #view = FIRST_VIEW;
  #notice = "";
  /** Wakes who waits for the next look. */
  #wake = new AbortController();
  #screen: FullScreen | undefined;

  constructor(operator: Operator, interrupted: AbortSignal) {
    this.#operator = operator;
    this.#interrupted = interrupted;
    this.#look = watchOverview(operator);
  }

  /** Until `q`, or what ends the command from outside. */
  async run(): Promise<void> {
    this.#overview = await this.#look();
    const ends = AbortSignal.any([this.#over.signal, this.#interrupted]);
    using screen = new FullScreen((key) => this.#press(key), () => void this.#draw());
    this.#screen = screen;
    while (!ends.aborted) {
      await this.#draw();
      await sleep(LOOK_MS, { signal: AbortSignal.any([ends, this.#wake.signal]) }).catch(() => {});
      this.#wake = new AbortController();
      if (ends.aborted) return;
      try {
        this.#overview = await this.#look();
      } catch (error) {
        this.#notice = `what is shown is old: ${describe(error).message}`;
      }
    }
  }

  #press(key: string): void {
    if (key === "ctrl-c") {
      // In raw mode nobody else makes it a signal.
      process.kill(process.pid, "SIGINT");
      return;
    }
    const { view, deed } = press(this.#view, key, this.#overview);
    this.#view = view;
    this.#notice = "";
    if (deed !== undefined) void this.#do(deed);
    void this.#draw();
  }

  async #do(deed: Deed): Promise<void> {
    if (deed.kind === "quit") return this.#over.abort();
    try {
      this.#notice = await perform(this.#operator, deed);
    } catch (error) {
      this.#notice = describe(error).message;
    }
    this.#wake.abort();
  }

  async #draw(): Promise<void> {
    const screen = this.#screen;
    if (screen === undefined) return;
    const size = { columns: screen.columns, rows: screen.rows, colours: process.stdout.hasColors() };
    const { address } = this.#operator.connections;
    screen.draw(await topLines(this.#overview, this.#view, `${address}, prefix ${this.#operator.prefix}`, this.#notice, size));
  }
}

/** @returns what came of it */
async function perform(operator: Operator, deed: Exclude<Deed, { readonly kind: "quit" }>): Promise<string> {
  switch (deed.kind) {
    case "pause":
      await pauseQueue(operator, deed.queue);
      return `queue ${deed.queue} is paused`;
    case "resume":
      await resumeQueue(operator, deed.queue);
      return `queue ${deed.queue} goes on`;
    case "cancel": {
      const { cancelled, worker } = await cancelTask(operator, deed.id);
      if (!cancelled) return `task ${deed.id} has ended already`;
      return worker.id === null ? `task ${deed.id} is asked to end, but a stock BullMQ worker does not hear of it` : `task ${deed.id} is told to end`;
    }
    case "scale": {
      const { answers, refused, unanswered } = await scaleWorkers(operator, [deed.id], deed.concurrency);
      const [answer, refusal] = [answers[0], refused[0]];
      if (answer !== undefined) return `${answer.name} runs ${answer.value.to} at once, ${answer.value.from} before`;
      return refusal === undefined ? `${unanswered[0]?.name ?? deed.id} did not answer` : refusal.error.message;
    }
  }
}
