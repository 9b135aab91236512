import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const module = new URL("../../src/cli/small-memory.ts", import.meta.url).href;

/** How much V8 sets aside for young objects after so many were made that it would let that grow, in MB. */
async function youngSpace(before: string): Promise<number> {
  const program = `${before}
    import { getHeapSpaceStatistics } from "node:v8";
    let kept = [];
    for (let i = 0; i < 3e6; i += 1) { kept.push({ i }); if (kept.length > 20_000) kept = []; }
    console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size / 2 ** 20);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  return Number(stdout);
}

test("the space for young objects does not grow", async () => {
  const [small, usual] = await Promise.all([youngSpace(`import { keepMemorySmall } from ${JSON.stringify(module)}; keepMemorySmall();`), youngSpace("")]);
  expect(small).toBeLessThanOrEqual(4);
  expect(usual).toBeGreaterThan(2 * small);
});
