import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["millrace-source"] },
  ssr: { resolve: { conditions: ["millrace-source"] } },
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    globalSetup: ["./test/support/global-setup.ts"],
    execArgv: ["--conditions=millrace-source"],
    // Most tests wait for a server or a process: more of them than there are cores may run.
    maxWorkers: 3,
    // Hundreds of tests hold limits in time on real servers and processes; where the machine is shared, one of them may
    // meet a pause of it. Both runs are reported.
    retry: process.env["CI"] === undefined ? 0 : 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/support/count-reporter.ts"],
  },
});
