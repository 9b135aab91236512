import { runInNewContext } from "node:vm";
import { build, type Metafile } from "esbuild";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const root = new URL("../../", import.meta.url).pathname;

/** What a browser bundle of this program holds. Fails on whatever only Node has. */
async function bundle(program: string): Promise<{ readonly inputs: readonly string[]; readonly code: string }> {
  const { metafile, outputFiles } = await build({
    stdin: { contents: program, resolveDir: `${root}test/job`, loader: "ts" },
    bundle: true,
    platform: "browser",
    format: "esm",
    conditions: ["millrace-source"],
    absWorkingDir: root,
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  return { inputs: Object.keys((metafile satisfies Metafile).inputs), code: outputFiles.map(({ text }) => text).join("\n") };
}

test("millrace/job bundles for a browser, and brings no Redis, no schema library and nothing of Node", async () => {
  const { inputs, code } = await bundle('export * from "millrace/job";');
  expect(inputs.filter((path) => path.startsWith("src/"))).toContain("src/job/index.ts");
  expect(inputs.filter((path) => !/^(src\/(job\/[a-z-]+|errors|options)\.ts|<stdin>)$/.test(path))).toEqual([]);
  expect(code).not.toMatch(/\b(Buffer|process|require|__dirname|setImmediate)\b/);
});

test("the bundle test itself notices what only Node has", async () => {
  await expect(bundle('export { readFile } from "node:fs/promises";')).rejects.toThrow("node:fs/promises");
  const { inputs } = await bundle('export { z } from "zod";');
  expect(inputs.some((path) => path.includes("node_modules/zod/"))).toBe(true);
});

test("what is bundled works without Node's globals", async () => {
  const { code } = await bundle(
    'import { defineJob, defineHandler, typed } from "millrace/job"; const job = defineJob("a", { payload: typed<{ n: number }>(), timeout: "5s" });' +
      "export const handler = defineHandler(job, { async handle({ n }) { if (n < 0) throw new RangeError(); } }); export const item = job.item({ n: 1 });",
  );
  const program = `${code.replace(/export \{[^}]*\};?/g, "")}; item.payload.n + handler.job.name`;
  expect(runInNewContext(program, {})).toBe("1a");
});

test("the entry is where package.json says", () => {
  expect(packageJson.exports["./job"]["millrace-source"]).toBe("./src/job/index.ts");
});
