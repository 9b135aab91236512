import { once } from "node:events";
import { expect, test } from "vitest";
import { showingCount } from "../../src/cli/count-line.ts";
import { Screen } from "../support/screen.ts";

test("rewrites one line on a terminal, no longer than it is wide, and erases it at the end, of a failure too", async () => {
  const lost = new Error("lost");
  for (const end of ["done", lost]) {
    const screen = new Screen(true, 20);
    let seen = 0;
    const shown = showingCount(() => `${(seen += 1)} dead letters looked at`, once(screen, "write").then(() => (end === lost ? Promise.reject(lost) : end)), screen, 1);
    expect(await shown.catch((error: unknown) => error)).toBe(end);
    const [first, last] = [screen.text.split("\r\u001b[2K")[1], screen.text.split("\r\u001b[2K").at(-1)];
    expect(first).toBe("1 dead letters look");
    expect(last).toBe("");
  }
});

test("shows nothing of what is over at once, and nothing where there is no terminal", async () => {
  const [terminal, pipe] = [new Screen(true, 20), new Screen(false, 20)];
  expect(await showingCount(() => "1", Promise.resolve(1), terminal, 1)).toBe(1);
  let asked = 0;
  await showingCount(() => `${(asked += 1)}`, new Promise((resolve) => setTimeout(resolve, 20)), pipe, 1);
  expect([terminal.text, pipe.text, asked]).toEqual(["", "", 0]);
});
