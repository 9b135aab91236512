import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Begins with what takes longest by far, and mostly waits; where nothing is known of earlier runs the rest goes by size. */
class FaultsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isFirst = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith("/faults/quick.test.ts");
    return (await super.sort(files)).toSorted((one, other) => Number(isFirst(other)) - Number(isFirst(one)));
  }
}

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
    sequence: { sequencer: FaultsFirst },
    // Hundreds of tests hold limits in time on real servers and processes; where the machine is shared, one of them may
    // meet a pause of it. Both runs are reported.
    retry: process.env["CI"] === undefined ? 0 : 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/support/count-reporter.ts"],
  },
});
