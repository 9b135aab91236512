/** How the turn script tells of the jobs it has reserved: values one behind the other, since each list within a list costs Redis as much as three of them. */
import { readPlainJob, readStoredJob, type StoredJob } from "./stored-job.ts";

/** What is told of jobs. */
export interface ToldJobs {
  /** Of each plain one its id and timestamp, and then its name and options, or `false` where these are those of the job before it. */
  readonly plain: readonly (string | false)[];
  /** Of each plain one its payload as it stands in Redis: what a script packs, Lua copies, and counts through once more. */
  readonly data: readonly Buffer[];
  /** Of each other its fields and values, its id, and its place among all of them, from 1 on. */
  readonly others: readonly (readonly [...hash: string[], id: string, place: number])[];
}

/**
 * Tells the job `id` with the hash at `key`, the `i`th: in `plain`, and its payload at the end of `reply`, if it has just the fields that it was put with and starts for the first time, or else in
 * `others`; `toldName` and `toldOpts` are those of the last plain one. `starts` is how often it has been started, this time among them if it `isStarting`; its bytes are added to `total`.
 */
export const TELL_JOB = `
if isStarting and redis.call('HLEN', key) == 6 then
  -- Most are plain: to ask for their values is cheaper than for fields and values. The other two are delay and priority, which everybody writes who puts jobs;
  -- of jobs that are not ours, what is settled is looked at once more.
  local name, data, opts, timestamp = unpack(redis.call('HMGET', key, 'name', 'data', 'opts', 'timestamp'))
  if name and data and opts and timestamp then
    local n = #plain
    starts = '1'
    reply[#reply + 1] = data
    plain[n + 1], plain[n + 2] = id, timestamp
    if name == toldName and opts == toldOpts then
      plain[n + 3] = false
    else
      toldName, toldOpts = name, opts
      plain[n + 3], plain[n + 4] = name, opts
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

export function readJobs({ plain, data, others }: ToldJobs): StoredJob[] {
  const jobs: StoredJob[] = [];
  const texts = plain as readonly string[];
  let [name, options] = ["", ""];
  for (let at = 0; at < plain.length; at += 3) {
    const job = at;
    if (plain[at + 2] !== false) {
      name = texts[at + 2]!;
      options = texts[at + 3]!;
      at += 1;
    }
    jobs.push(readPlainJob(texts[job]!, name, data[jobs.length]!.toString(), options, texts[job + 1]!));
  }
  for (const other of others) {
    const [id, place] = other.slice(-2) as [string, number];
    jobs.splice(place - 1, 0, readStoredJob(id, other.slice(0, -2) as string[]));
  }
  return jobs;
}
