/** How the turn script tells of the jobs it has reserved: values one behind the other, since each list within a list costs Redis as much as three of them. */
import { readPlainJob, readStoredJob, type StoredJob, VERSION_FIELD } from "./stored-job.ts";

/**
 * What is told of jobs. `plain`: of each id, data and timestamp, and then name, options, priority and version, or `false` where these are those of the job
 * before it. `others`: for each its fields and values, its id, and its place among all of them, from 1 on.
 */
export type ToldJobs = readonly [plain: readonly (string | false)[], others: readonly (readonly [...hash: string[], id: string, place: number])[]];

/**
 * Tells the job `id` with the hash at `key`, the `i`th: in `plain` if it has just the fields that it was put with and starts for the first time, or else in
 * `others`; `told` is what was told of the last plain one. `starts` is how often it has been started, this time among them if it `isStarting`; its bytes are added to `total`.
 */
export const TELL_JOB = `
local count = isStarting and redis.call('HLEN', key)
if count == 6 or count == 7 then
  -- Most are plain: to ask for their values is cheaper than for fields and values. Seven are those with a version, six without.
  local name, data, opts, timestamp, priority, last = unpack(redis.call('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', count == 7 and '${VERSION_FIELD}' or 'delay'))
  if name and data and opts and timestamp and priority and last then
    local n, version = #plain, count == 7 and last
    starts = '1'
    plain[n + 1], plain[n + 2], plain[n + 3] = id, data, timestamp
    if name == told[1] and opts == told[2] and priority == told[3] and version == told[4] then
      plain[n + 4] = false
    else
      told = {name, opts, priority, version}
      plain[n + 4], plain[n + 5], plain[n + 6], plain[n + 7] = name, opts, priority, version
    end
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
  const texts = plain as readonly string[];
  let [name, options, priority] = ["", "", ""];
  let version: string | false = false;
  for (let at = 0; at < plain.length; at += 4) {
    const job = at;
    if (plain[at + 3] !== false) {
      name = texts[at + 3]!;
      options = texts[at + 4]!;
      priority = texts[at + 5]!;
      version = plain[at + 6]!;
      at += 3;
    }
    jobs.push(readPlainJob(texts[job]!, name, texts[job + 1]!, options, texts[job + 2]!, priority, version));
  }
  for (const other of others) {
    const [id, place] = other.slice(-2) as [string, number];
    jobs.splice(place - 1, 0, readStoredJob(id, other.slice(0, -2) as string[]));
  }
  return jobs;
}
