/** The filter that flags say, checked: what is wrong is told by the flag that said it. */
import { filterOptions, type JobFilter } from "../admin/job-filter.ts";
import { numberOrText } from "../config.ts";
import type { FilterFlags } from "./filter-flags.ts";

/** @throws OptionError */
export function filterOf({ state, name, older, error, group, limit }: FilterFlags): JobFilter {
  const filter = {
    ...(state !== undefined && { state: state.split(",") }),
    ...(name !== undefined && { name }),
    ...(older !== undefined && { older: numberOrText(older) }),
    ...(error !== undefined && { error }),
    ...(group !== undefined && { group }),
    ...(limit !== undefined && { limit: numberOrText(limit) }),
  };
  for (const [option, value] of Object.entries(filter)) filterOptions[option as keyof JobFilter](value, `--${option}`);
  return filter as JobFilter;
}
