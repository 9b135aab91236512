/** Plays the commands of an area, each in the same five ways, on a queue that stock BullMQ feeds. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { listDead } from "../../src/admin/dead.ts";
import { connectOperator } from "../../src/admin/operator.ts";
import { stockQueue } from "../interop/stock.ts";
import { millrace, project, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { AREAS, type CommandCase } from "./command-cases.ts";

const [, OUTPUT = ""] = /^\*\*Output\.\*\*(.*?)^\*\*/ms.exec(readFileSync(new URL("../../README.md", import.meta.url), "utf8")) ?? [];
/** Every field that the README tells of what commands print with `--json`. */
const DOCUMENTED: ReadonlySet<string> = new Set(Array.from(OUTPUT.matchAll(/["`]([\w-]+)["`]/g), ([, field]) => field!));

export function playCommands(area: keyof typeof AREAS): void {
  const cases: Readonly<Record<string, CommandCase>> = AREAS[area];
  test.each(Object.entries(cases))("%s: for people, as JSON, where there is nothing, of wrong input, and its effect", { timeout: 120_000 }, (command, its) => play(command, its));
}

async function play(command: string, { fed, text, json, empty, wrong, effect, input = "" }: CommandCase): Promise<void> {
  const prefix = freshPrefix();
  const scene = { prefix, stock: stockQueue(prefix, "mail") };
  const cwd = project({});
  const call = (args: string, under = prefix, given = input): Promise<Ended> => millrace([...command.split(" "), ...args.split(" ").filter(Boolean)], { cwd, env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: under }, input: given });
  await scene.stock.waitUntilReady();
  await fed(scene);

  const [refused, nothing] = await Promise.all([call(wrong[0]), typeof empty === "string" ? undefined : call(empty[0], freshPrefix(), "")]);
  expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(wrong[1]) as string });
  if (nothing !== undefined && typeof empty !== "string") expect([nothing.code, nothing.stdout + nothing.stderr]).toEqual([empty[1], expect.stringMatching(empty[2])]);

  const group = /\bGROUP\b/.test(text[0] + json[0]) ? await largestGroup(prefix) : "";
  const told = await call(text[0].replace("GROUP", group));
  expect([told.code, told.stdout + told.stderr]).toEqual([text[2] ?? 0, expect.stringMatching(text[1])]);
  const coded = await call(`${json[0].replace("GROUP", group)} --json`);
  const lines = coded.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as unknown);
  expect({ code: coded.code, lines }).toMatchObject({ code: json[2] ?? 0, lines: json[1] });
  expect(lines.flatMap((line) => Object.keys(line as object)).filter((field) => !DOCUMENTED.has(field)), "fields that the README does not tell").toEqual([]);
  await effect(scene);
}

async function largestGroup(prefix: string): Promise<string> {
  await using operator = connectOperator({ redis: redisUrl(), prefix });
  return (await listDead(operator, "mail")).groups[0]!.group;
}
