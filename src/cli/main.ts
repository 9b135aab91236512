#!/usr/bin/env node
/** The command `millrace`. Knows only which Node it needs: what it loads after that may use all of it. */

const OLDEST = [22, 18] as const;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) {
  const { enableCompileCache } = await import("node:module");
  // In the system's temporary folder: a process that starts again need not compile again.
  enableCompileCache();
  const { main } = await import("./program.ts");
  await main(process.argv.slice(2));
} else {
  process.stderr.write(`error: expected Node ${OLDEST.join(".")} or newer, got ${process.versions.node} (${process.execPath})\n`);
  process.exitCode = 2;
}
