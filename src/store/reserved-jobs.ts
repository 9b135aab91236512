/** How the turn script tells of the jobs it has reserved: one flat list, since each list within a list costs Redis as much as three texts. */
import { readPlainJob, readStoredJob, type StoredJob, VERSION_FIELD } from "./stored-job.ts";

/** What is told of jobs, one behind the other: {@link PLAIN}, id and the values that `readPlainJob` takes; or how many fields and values follow, id, and these. */
export type ToldJobs = readonly (number | string | false)[];

const PLAIN = -1;
const PLAIN_VALUES = 6;

/**
 * `tell(id, key, isStarting)` notes a job in `told`; it returns how often the job has been started, this time among them if it is
 * starting, and how many bytes it has. A plain job has just the fields that it was put with, and starts for the first time.
 */
export const TELL_JOBS = `
local told = {}
-- Most are plain: to ask for their values is cheaper than for fields and values.
local function tellPlain(id, key)
  local count = redis.call('HLEN', key)
  if count ~= 6 and count ~= 7 then return nil end
  local name, data, opts, timestamp, priority, version, delay = unpack(redis.call('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', '${VERSION_FIELD}', 'delay'))
  if not (name and data and opts and timestamp and priority and delay) or (count == 7) ~= (version ~= false) then return nil end
  local n = #told
  told[n + 1], told[n + 2], told[n + 3], told[n + 4], told[n + 5], told[n + 6], told[n + 7], told[n + 8] = ${PLAIN}, id, name, data, opts, timestamp, priority, version
  return #name + #data + #opts
end

local function tell(id, key, isStarting)
  local bytes = isStarting and tellPlain(id, key)
  if bytes then return '1', bytes end
  local hash, starts = redis.call('HGETALL', key), 0
  for i = 1, #hash, 2 do
    if hash[i] == 'ats' then starts = tonumber(hash[i + 1]) or 0 end
  end
  if isStarting then
    starts = starts + 1
    hash[#hash + 1] = 'ats'
    hash[#hash + 1] = tostring(starts)
  end
  told[#told + 1] = #hash
  told[#told + 1] = id
  bytes = 0
  for _, text in ipairs(hash) do
    told[#told + 1] = text
    bytes = bytes + #text
  end
  return tostring(starts), bytes
end
`;

export function readJobs(told: ToldJobs): StoredJob[] {
  const jobs: StoredJob[] = [];
  for (let at = 0; at < told.length; ) {
    const fields = told[at] as number;
    const id = told[at + 1] as string;
    const from = at + 2;
    at = from + (fields === PLAIN ? PLAIN_VALUES : fields);
    if (fields === PLAIN) {
      const version = told[from + 5] as string | false;
      jobs.push(readPlainJob(id, told[from] as string, told[from + 1] as string, told[from + 2] as string, told[from + 3] as string, told[from + 4] as string, version));
    } else {
      jobs.push(readStoredJob(id, told.slice(from, at) as string[]));
    }
  }
  return jobs;
}
