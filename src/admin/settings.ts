/** What a process would run with: every setting, its value, and where that comes from. */
import { maskSecrets, type Config, type Setting } from "../config.ts";
import { defaultWho } from "./operator.ts";

export interface SettingRow {
  readonly setting: Setting;
  /** Times in milliseconds, sizes in bytes; null where there is none. Secrets are `***`. */
  readonly value: unknown;
  /** `"--redis"`, `"REDIS_URL"`, `"millrace.config.ts"`, `"default"`. */
  readonly origin: string;
}

/** Every setting, in the order of the documentation; `loadConfig` gives what it takes. Does no I/O. */
export function effectiveSettings(config: Config): SettingRow[] {
  return (Object.keys(config.origins) as Setting[]).map((setting) => ({ setting, value: masked(valueOf(config, setting)) ?? null, origin: config.origins[setting] }));
}

/** Times and sizes have their unit in the name of their field. */
function valueOf(config: Config, setting: Setting): unknown {
  if (setting === "who") return config.who ?? defaultWho();
  const fields = config as unknown as Readonly<Record<string, unknown>>;
  return fields[setting] ?? fields[`${setting}Ms`] ?? fields[`${setting}Bytes`];
}

function masked(value: unknown, name = ""): unknown {
  if (/password|secret|passphrase|^key$/i.test(name) && value !== undefined) return "***";
  if (typeof value === "string") return maskSecrets(value);
  if (Array.isArray(value)) return value.map((element: unknown) => masked(element));
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, masked(field, name)]));
}
