/**
 * The watchdog's thread: looks whether the main thread's loop turns, and where it is stuck when it does not.
 *
 * The inspector hands a message to a thread that is busy by interrupting it, so an expression evaluated over it runs on
 * top of whatever is stuck, and sees that stack. No debugger is switched on, and nothing is paused.
 */
import { writeSync } from "node:fs";
import { Session } from "node:inspector";
import { workerData } from "node:worker_threads";
import { instant } from "./thread-clock.ts";

export interface WatchdogData {
  /** When the loop turned last, by the clock of threads. */
  readonly beat: SharedArrayBuffer;
  /** A function of the main thread: takes when it was asked, gives `Found`. */
  readonly stuck: string;
  /** Of silence, after which it is asked where it is stuck. */
  readonly askMs: number;
  /** Of silence, after which that is told from here, since the main thread may never get to it. */
  readonly tellMs: number;
}

export interface Found {
  /** A line on what is stuck, and its frames. */
  readonly text: string;
  /** How many frames there are. */
  readonly frames: number;
}

const LOOK_AGAIN_MS = 25;
const AGAIN_MS = 3;
const TRIES = 5;
const STANDARD_ERROR = 2;

const { beat: shared, stuck, askMs, tellMs } = workerData as WatchdogData;
const beat = new Float64Array(shared);

/** Of the silence that is on, by the beat it began with. */
let silence = { since: 0, asked: false, toldMs: 0 };
let unanswered = 0;

function look(): void {
  check();
  const silentMs = instant() - (beat[0] ?? 0);
  setTimeout(look, silentMs < askMs ? askMs - silentMs : LOOK_AGAIN_MS);
}

function check(): void {
  const since = beat[0] ?? 0;
  const silentMs = instant() - since;
  if (silence.since !== since) silence = { since, asked: false, toldMs: tellMs / 2 };
  if (silentMs >= askMs && !silence.asked) {
    silence.asked = true;
    askAgain(since, TRIES);
  }
  if (silentMs < silence.toldMs * 2) return;
  silence.toldMs *= 2;
  const tell = (text: string): void => {
    if (beat[0] === since) writeSync(STANDARD_ERROR, `(millrace:${process.pid}) BlockedLoopWarning: for ${Math.round(silence.toldMs / 1000)} s and still, ${text}\n`);
  };
  if (unanswered > 0) tell("the event loop is blocked, and where is not to be had: in a native call that cannot be interrupted");
  else ask(({ text }) => tell(text));
}

/** Where many short callbacks keep the loop from turning, it may come between two of them and see neither. */
function askAgain(since: number, tries: number): void {
  ask(({ frames }) => {
    if (frames === 0 && tries > 1) setTimeout(() => beat[0] === since && askAgain(since, tries - 1), AGAIN_MS);
  });
}

/** In a session for this question alone: one that were open when the process exits, Node would tell of. */
function ask(then: (found: Found) => void): void {
  unanswered += 1;
  const session = new Session();
  session.connectToMainThread();
  session.post("Runtime.evaluate", { expression: `${stuck}(${instant()})`, returnByValue: true, silent: true }, (error, answer) => {
    unanswered -= 1;
    session.disconnect();
    const found = answer?.result?.value as Found | undefined;
    if (error === null && found !== undefined) then(found);
  });
}

look();
