/** How the turn script tells of the jobs it has reserved: values one behind the other, since each list within a list costs Redis as much as three of them. */
import { readPlainJob, readStoredJob, type StoredJob, VERSION_FIELD } from "./stored-job.ts";

/**
 * What is told of jobs: `plain`, {@link PLAIN_VALUES} a job one behind the other, and for each other one its fields and values, its id, and its place
 * among all of them, from 1 on.
 */
export type ToldJobs = readonly [plain: readonly (string | false)[], others: readonly (readonly [...hash: string[], id: string, place: number])[]];

/** Id, and what `readPlainJob` takes. */
const PLAIN_VALUES = 7;

/**
 * Tells the job `id` with the hash at `key`, the `i`th: in `plain` if it has just the fields that it was put with and starts for the first time, or else in
 * `others`. `starts` is how often it has been started, this time among them if it `isStarting`; its bytes are added to `total`.
 */
export const TELL_JOB = `
local count = isStarting and redis.call('HLEN', key)
if count == 6 or count == 7 then
  -- Most are plain: to ask for their values is cheaper than for fields and values.
  local name, data, opts, timestamp, priority, version, delay = unpack(redis.call('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', '${VERSION_FIELD}', 'delay'))
  if name and data and opts and timestamp and priority and delay and (count == 7) == (version ~= false) then
    local n = #plain
    starts = '1'
    plain[n + 1], plain[n + 2], plain[n + 3], plain[n + 4], plain[n + 5], plain[n + 6], plain[n + 7] = id, name, data, opts, timestamp, priority, version
    total = total + #name + #data + #opts
  end
end
if not starts then
  local hash, made = redis.call('HGETALL', key), 0
  for n = 1, #hash, 2 do
    if hash[n] == 'ats' then made = tonumber(hash[n + 1]) or 0 end
    total = total + #hash[n] + #hash[n + 1]
  end
  if isStarting then
    made = made + 1
    hash[#hash + 1] = 'ats'
    hash[#hash + 1] = tostring(made)
  end
  starts = tostring(made)
  hash[#hash + 1] = id
  hash[#hash + 1] = i
  others[#others + 1] = hash
end
`;

export function readJobs([plain, others]: ToldJobs): StoredJob[] {
  const jobs: StoredJob[] = [];
  for (let at = 0; at < plain.length; at += PLAIN_VALUES) {
    const text = plain as readonly string[];
    jobs.push(readPlainJob(text[at]!, text[at + 1]!, text[at + 2]!, text[at + 3]!, text[at + 4]!, text[at + 5]!, plain[at + 6]!));
  }
  for (const other of others) {
    const [id, place] = other.slice(-2) as [string, number];
    jobs.splice(place - 1, 0, readStoredJob(id, other.slice(0, -2) as string[]));
  }
  return jobs;
}
