import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { stockQueue } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { millrace } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Gives the command a terminal of 80 by 24: python's own pseudo-terminals, which pass signals on as a real one does. */
const TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
import select
while True:
  ready, _, _ = select.select([fd, 0], [], [])
  if fd in ready:
    try: data = os.read(fd, 65536)
    except OSError: data = b""
    if not data: break
    os.write(1, data)
  if 0 in ready:
    data = os.read(0, 1024)
    if data: os.write(fd, data)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
`;

/** `millrace top` in a shell that says how it found the terminal afterwards. */
function onTerminal(prefix: string) {
  const shell = `"$0" -C millrace-source "${MAIN}" top; echo "code $?"; stty -a | tr ';' '\\n' | grep -oE -- '-?(icanon|echo)\\b' | sort -u | tr '\\n' ' '; echo; echo left`;
  const child = spawn("python3", ["-c", TERMINAL, "sh", "-c", shell, process.execPath], { env: { ...process.env, REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix, TERM: "xterm" } });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  return {
    press: (keys: string) => child.stdin.write(keys),
    /** What stands on the screen now, or would without its colours. */
    shown: () => stripVTControlCharacters(output.split("\u001b[H").at(-1) ?? ""),
    raw: () => output,
    says: (text: string | RegExp) =>
      until(() => (typeof text === "string" ? stripVTControlCharacters(output).includes(text) : text.test(stripVTControlCharacters(output)))).catch(() => {
        throw new Error(`expected ${text} on the terminal, got ${stripVTControlCharacters(output.split("\u001b[H").at(-1) ?? "")}`);
      }),
  };
}

test("shows queues, workers and tasks, pauses, cancels and scales by keys, and leaves the terminal as it was", { timeout: 90_000 }, async ({ skip }) => {
  if (spawn("python3", ["-V"]).pid === undefined) skip("no python3 here to make a terminal");
  const prefix = freshPrefix();
  const stock = stockQueue(prefix, "mail");
  const app = testApp({ prefix });
  const job = defineJob("send", { queue: "mail", payload: typed<object>() });
  let reason: unknown;
  const pool = app.pool([defineHandler(job, { handle: (_, task) => new Promise((_done, fail) => task.signal.addEventListener("abort", () => fail((reason = task.signal.reason)))) })], { concurrency: 2, name: "web-1" });
  await pool.ready;
  await stock.addBulk(Array.from({ length: 5 }, () => ({ name: "send", data: {} })));
  await until(async () => (await stock.getActiveCount()) === 2);
  const terminal = onTerminal(prefix);
  await terminal.says(/> mail +3 +2/);
  await terminal.says(/web-1 +\S+ +ready +2 +2/);
  terminal.press("p");
  await terminal.says("pause queue mail? [y/N]");
  terminal.press("y");
  await until(() => stock.isPaused());
  await terminal.says("queue mail is paused");
  await terminal.says("mail (paused)");
  terminal.press("\t+");
  await terminal.says("web-1 runs 3 at once, 2 before");
  terminal.press("\tc");
  await terminal.says(/cancel task \S+ \(send\)\? \[y\/N\]/);
  terminal.press("y");
  await until(() => reason !== undefined);
  expect(String(reason)).toContain("cancelled");
  terminal.press("q");
  await terminal.says("left");
  const raw = terminal.raw();
  expect(raw.slice(raw.lastIndexOf("\u001b[?25h\u001b[?1049l"))).toMatch(/code 0\s+echo icanon/);
  await stock.resume();
});

test("Ctrl-C ends it as everywhere, with the terminal as it was", { timeout: 60_000 }, async ({ skip }) => {
  if (spawn("python3", ["-V"]).pid === undefined) skip("no python3 here to make a terminal");
  const terminal = onTerminal(freshPrefix());
  await terminal.says("none");
  expect(terminal.shown()).toContain("0 queues, 0 workers, 0 tasks");
  terminal.press("\u0003");
  await terminal.says("left");
  const raw = terminal.raw();
  expect(raw.slice(raw.lastIndexOf("\u001b[?25h\u001b[?1049l"))).toMatch(/code 130\s+echo icanon/);
});

test("where there is no terminal it says what programs read", { timeout: 60_000 }, async () => {
  for (const args of [["top"], ["admin", "top", "--json"]]) {
    expect(await millrace(args, { env: { REDIS_URL: redisUrl() } })).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("queue stats QUEUE --watch --json") as string });
  }
});
