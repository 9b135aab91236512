/** `config`: what this command would run with. */
import { effectiveSettings, type SettingRow } from "../admin/settings.ts";
import type { Context } from "./context.ts";
import type { Column } from "./table.ts";

const COLUMNS: readonly Column<SettingRow>[] = [
  { title: "SETTING", of: ({ setting }) => setting },
  { title: "VALUE", of: ({ setting, value }) => textOf(setting, value), cuts: true },
  { title: "FROM", of: ({ origin }) => origin, style: ({ origin }) => (origin === "default" ? "dim" : "cyan") },
];

export async function config({ config, output }: Context): Promise<void> {
  await output.rows(effectiveSettings(config), COLUMNS, "");
}

/** What holds where nothing is set. */
const UNSET: Readonly<Record<string, string>> = {
  redis: "none: this folder's own, where it runs",
  concurrency: "what the handlers ask for",
  name: "host and pid",
  health: "off",
  processes: "one, without a supervisor",
  maxRss: "no limit",
  maxJobs: "no limit",
};

function textOf(setting: string, value: unknown): string {
  if (value === null) return UNSET[setting] ?? "-";
  if (typeof value === "number") return `${value}${["drain", "grace", "flush"].includes(setting) ? " ms" : setting === "maxRss" ? " bytes" : ""}`;
  return typeof value === "string" ? value : JSON.stringify(value);
}
