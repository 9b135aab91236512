import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/app.ts";

const bound = fileURLToPath(new URL("bound.ts", import.meta.url));
const PARENT = `require("node:child_process").spawn(process.execPath, process.argv.slice(1), { stdio: ["ignore", "inherit", "ignore"] });`;

async function family(silentMs: number) {
  const parent = spawn(process.execPath, ["-e", PARENT, bound, String(silentMs)], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const child = Number(line.toString());
  onTestFinished(() => {
    parent.kill("SIGKILL");
    if (isAlive(child)) process.kill(child, "SIGKILL");
  });
  return { parent, child };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("who is held up is ended when its parent is gone, and not before; who is not ends by itself", async () => {
  const [heldUp, other, turning] = await Promise.all([family(1001), family(1001), family(0)]);
  heldUp.parent.kill("SIGKILL");
  turning.parent.kill("SIGKILL");
  await until(() => !isAlive(heldUp.child));
  expect([other, turning].map(({ child }) => isAlive(child))).toEqual([true, true]);
});
