/** The part of the stock turn script that finishes jobs: what BullMQ's `moveToFinished` does, but the next job. */
import { FROM_ACTIVE } from "./active-script.ts";
import { FAMILY, RETENTION } from "./retention-script.ts";

/** A job that has ended in a Worker's hands. */
export interface Finish {
  readonly id: string;
  readonly token: string;
  readonly target: "completed" | "failed";
  /** The result as JSON, or the reason. */
  readonly value: string;
  /** -1 is no bound; a count of 0 keeps none. */
  readonly keepCount: number;
  readonly keepAgeMs: number;
  /** Also asks for another job, under the same token. */
  readonly fetchNext: boolean;
  /** By this process's clock, as all that BullMQ writes. */
  readonly at: number;
  readonly attempts: number;
  /** More fields of its hash: name, value, … */
  readonly fields: readonly string[];
}

export function packFinish(row: Finish): unknown[] {
  const { id, token, target, value, keepCount, keepAgeMs, fetchNext, at, attempts, fields } = row;
  return [id, token, target === "failed" ? 2 : 1, value, keepCount, keepAgeMs, fetchNext ? 1 : 0, String(at), attempts, fields];
}

/** `collect(key, jobs, most, at)`, as BullMQ's `metrics` option asks for: so many more have finished at that instant; the last `most` minutes are kept. */
const METRICS = `
local function collect(key, jobs, most, at)
  local count = redis.call('HINCRBY', key, 'count', jobs) - jobs
  local last = redis.call('HMGET', key, 'prevTS', 'prevCount')
  if not last[1] then
    redis.call('HSET', key, 'prevTS', at, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(at / 60000) - math.floor(last[1] / 60000), most)
  if minutes <= 0 then return end
  local points = {count - last[2]}
  for i = 2, minutes do points[i] = 0 end
  for from = 1, #points, 5000 do redis.call('LPUSH', key .. ':data', unpack(points, from, math.min(from + 4999, #points))) end
  redis.call('LTRIM', key .. ':data', 0, most - 1)
  redis.call('HSET', key, 'prevCount', count, 'prevTS', at)
end
`;

/**
 * `finish(rows)`: how many jobs it finished. What it leaves is noted in `left`, who asks for a next job in `askers`.
 * rows  {id, token, 1 completed or 2 failed, value, keep count, keep age in ms, 1 to fetch or 0, at, attempts, {field, value, …}}
 */
export const FINISH = `${FAMILY}${RETENTION}${FROM_ACTIVE}${METRICS}
local function finish(rows)
  local locks, families, facts, mine, ids = {}, {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    locks[i] = key .. ':lock'
    if row[3] == 1 then
      families[#families + 1] = key .. ':dependencies'
      families[#families + 1] = key .. ':unsuccessful'
    end
  end
  local tokens = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    local known = redis.call('HMGET', key, 'name', 'parentKey', 'deid', 'atm')
    local alone = known[1] and not (known[2] and known[2] ~= '') and not known[3]
    if alone and row[3] == 1 and anyFamily then alone = redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') == 0 end
    facts[i] = alone and tokens[i] == row[2] and known
    if facts[i] then ids[#ids + 1] = row[1] end
  end
  local found = #ids > 0 and activeOf(ids) or {gone = {}}
  local held, freed, n = {}, {}, 0
  for i, row in ipairs(rows) do
    if facts[i] then n = n + 1 end
    if facts[i] and not found.gone[n] then
      mine[#mine + 1] = i
      held[#held + 1] = row[1]
      freed[#freed + 1] = locks[i]
    else
      left[#left + 1] = i
    end
  end
  if #mine == 0 then return 0 end
  open()
  local scored, bounds, dropped, ended = {[completed] = {}, [failed] = {}}, {}, {}, {}
  for _, i in ipairs(mine) do
    local id, token, kind, value, count, age, fetching, at, attempts, fields = unpack(rows[i])
    local target, field = completed, 'returnvalue'
    if kind == 2 then target, field = failed, 'failedReason' end
    local key, made = base .. id, (tonumber(facts[i][4]) or 0) + 1
    if count == 0 then
      dropped[#dropped + 1] = key
    else
      if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
      redis.call('HSET', key, field, value, 'finishedOn', at, 'atm', made)
      if kind == 2 then redis.call('HDEL', key, 'defa') end
      table.insert(scored[target], at)
      table.insert(scored[target], id)
      bounds[target .. count .. '/' .. age] = {target, count, age}
    end
    ended[#ended + 1] = {id, kind == 2 and 'failed' or 'completed', field, value, kind == 2 and made >= attempts and made}
    if fetching == 1 then askers[#askers + 1] = {token, at} end
  end
  moveFromActive(held, found, function()
    for target, members in pairs(scored) do
      if #members > 0 then redis.call('ZADD', target, unpack(members)) end
    end
  end)
  redis.call('DEL', unpack(freed))
  redis.call('SREM', stalled, unpack(held))
  for _, bound in pairs(bounds) do trim(bound[1], bound[2], bound[3]) end
  drop(dropped)
  for _, each in ipairs(ended) do
    redis.call('XADD', events, '*', 'event', each[2], 'jobId', each[1], each[3], each[4], 'prev', 'active')
    if each[5] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', each[1], 'attemptsMade', each[5]) end
  end
  local minutes = tonumber(ARGV[8])
  if minutes > 0 then
    local failures = 0
    for _, each in ipairs(ended) do failures = failures + (each[2] == 'failed' and 1 or 0) end
    if #ended > failures then collect(metricsCompleted, #ended - failures, minutes, now) end
    if failures > 0 then collect(metricsFailed, failures, minutes, now) end
  end
  return #mine
end
`;
