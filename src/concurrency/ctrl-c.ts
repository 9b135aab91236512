/**
 * One press of Ctrl-C, which under npm comes twice: the terminal sends SIGINT to the whole group, and npm hands its own
 * on to the script, milliseconds later.
 */

/** Two presses of a person are further apart. */
const ONE_PRESS_MS = 250;

export class CtrlC {
  #pressedAtMs = -Infinity;

  /** Whether this signal is only npm's, of a press that was heard already. */
  isEcho(signal: NodeJS.Signals): boolean {
    const now = performance.now();
    const isEcho = signal === "SIGINT" && process.env["npm_command"] !== undefined && now - this.#pressedAtMs < ONE_PRESS_MS;
    this.#pressedAtMs = signal === "SIGINT" && !isEcho ? now : -Infinity;
    return isEcho;
  }
}
