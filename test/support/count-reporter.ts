/** Closes a test run with why tests passed only when they were tried again, and one plain line, `N passed, N failed`, that scripts can read. */
import type { Reporter, TestModule, TestRunEndReason } from "vitest/node";

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      // A module that breaks outside its tests (an import, a hook) has no test that says so.
      if (module.state() === "failed" && [...module.children.allTests("failed")].length === 0) failed += 1;
      for (const test of module.children.allTests()) {
        const { state, errors: met } = test.result();
        if (state === "passed") for (const { message, stack } of met ?? []) console.log(`passed when tried again: ${test.fullName}\n${stack ?? message}`);
        if (state === "passed") passed += 1;
        if (state === "failed") failed += 1;
      }
    }
    if (reason !== "passed" && failed === 0) failed = 1;
    console.log(`${passed} passed, ${failed} failed`);
  }
}
