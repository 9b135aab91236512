/** Lets who may ask see the tasks of this process, for as long as somebody in it wants that. */
import { timeTasks } from "./task.ts";

/** A program that ends before that is nobody's to ask, and pays for no socket. */
const OPEN_AFTER_MS = 500;

let users = 0;
let close: (() => void) | undefined;

/** Until the last of those who called it has disposed of theirs. It never holds the process, and fails silently. */
export function serveTasks(): Disposable {
  users += 1;
  if (users === 1) close = open();
  let left = false;
  return {
    [Symbol.dispose]() {
      if (left) return;
      left = true;
      users -= 1;
      if (users === 0) close?.();
    },
  };
}

function open(): () => void {
  timeTasks();
  let closed = false;
  let closeSocket: (() => void) | undefined;
  const listen = async (): Promise<void> => {
    const { openTaskSocket } = await import("./task-socket.ts");
    if (!closed) closeSocket = openTaskSocket();
  };
  const timer = setTimeout(() => void listen().catch(() => undefined), OPEN_AFTER_MS).unref();
  return () => {
    closed = true;
    clearTimeout(timer);
    closeSocket?.();
  };
}
