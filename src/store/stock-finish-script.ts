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

/** Where a row's values stand, its id first; the fields follow. */
const AT = Object.freeze({ token: 1, kind: 2, value: 3, count: 4, age: 5, fetches: 6, at: 7, attempts: 8, fields: 9 });

export function finishValues({ id, token, target, value, keepCount, keepAgeMs, fetchNext, at, attempts, fields }: Finish): unknown[] {
  return [id, token, target === "failed" ? 2 : 1, value, keepCount, keepAgeMs, fetchNext ? 1 : 0, String(at), attempts, fields.length, ...fields];
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
 * `finish(from, many)`: how many jobs it finished, of as many rows of `rows` from that place on, and where the rows end. What it leaves is noted in `left`, who
 * asks for a next job in `askers`.
 * rows  id, token, 1 completed or 2 failed, value, keep count, keep age in ms, 1 to fetch or 0, at, attempts, how many texts follow, field, value, …
 */
export const FINISH = `${FAMILY}${RETENTION}${FROM_ACTIVE}${METRICS}
local function finish(from, many)
  local where, keys, locks, families, facts, mine, ids = {}, {}, {}, {}, {}, {}, {}
  for i = 1, many do
    local key = base .. rows[from]
    where[i], keys[i], locks[i] = from, key, key .. ':lock'
    if rows[from + ${AT.kind}] == 1 then
      families[#families + 1] = key .. ':dependencies'
      families[#families + 1] = key .. ':unsuccessful'
    end
    from = from + ${AT.fields} + 1 + rows[from + ${AT.fields}]
  end
  local tokens = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0
  for i, key in ipairs(keys) do
    local row = where[i]
    local known = redis.call('HMGET', key, 'name', 'parentKey', 'deid', 'atm')
    local alone = known[1] and not (known[2] and known[2] ~= '') and not known[3]
    if alone and rows[row + ${AT.kind}] == 1 and anyFamily then alone = redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') == 0 end
    facts[i] = alone and tokens[i] == rows[row + ${AT.token}] and known
    if facts[i] then ids[#ids + 1] = rows[row] end
  end
  local found = #ids > 0 and activeOf(ids) or {gone = {}}
  local held, freed, n = {}, {}, 0
  for i, row in ipairs(where) do
    if facts[i] then n = n + 1 end
    if facts[i] and not found.gone[n] then
      mine[#mine + 1] = i
      held[#held + 1] = rows[row]
      freed[#freed + 1] = locks[i]
    else
      left[#left + 1] = i
    end
  end
  if #mine == 0 then return 0, from end
  local scored, bounds, dropped = {[completed] = {}, [failed] = {}}, {}, {}
  moveFromActive(held, found, function()
    open()
    for _, i in ipairs(mine) do
      local row, key = where[i], keys[i]
      local failing, count, age, at, more = rows[row + ${AT.kind}] == 2, rows[row + ${AT.count}], rows[row + ${AT.age}], rows[row + ${AT.at}], rows[row + ${AT.fields}]
      if count == 0 then
        dropped[#dropped + 1] = key
      else
        local target, field = completed, 'returnvalue'
        if failing then target, field = failed, 'failedReason' end
        if more > 0 then redis.call('HSET', key, unpack(rows, row + ${AT.fields} + 1, row + ${AT.fields} + more)) end
        redis.call('HSET', key, field, rows[row + ${AT.value}], 'finishedOn', at, 'atm', (tonumber(facts[i][4]) or 0) + 1)
        if failing then redis.call('HDEL', key, 'defa') end
        table.insert(scored[target], at)
        table.insert(scored[target], rows[row])
        bounds[target .. count .. '/' .. age] = {target, count, age}
      end
      if rows[row + ${AT.fetches}] == 1 then
        askers[#askers + 1] = rows[row + ${AT.token}]
        askers[#askers + 1] = at
      end
    end
    for target, members in pairs(scored) do
      if #members > 0 then redis.call('ZADD', target, unpack(members)) end
    end
  end)
  redis.call('DEL', unpack(freed))
  redis.call('SREM', stalled, unpack(held))
  for _, bound in pairs(bounds) do trim(bound[1], bound[2], bound[3]) end
  drop(dropped)
  local failures = 0
  for _, i in ipairs(mine) do
    local row = where[i]
    if rows[row + ${AT.kind}] == 1 then
      redis.call('XADD', events, '*', 'event', 'completed', 'jobId', rows[row], 'returnvalue', rows[row + ${AT.value}], 'prev', 'active')
    else
      local made = (tonumber(facts[i][4]) or 0) + 1
      redis.call('XADD', events, '*', 'event', 'failed', 'jobId', rows[row], 'failedReason', rows[row + ${AT.value}], 'prev', 'active')
      if made >= rows[row + ${AT.attempts}] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', rows[row], 'attemptsMade', made) end
      failures = failures + 1
    end
  end
  local minutes = tonumber(ARGV[8])
  if minutes > 0 then
    if #mine > failures then collect(metricsCompleted, #mine - failures, minutes, now) end
    if failures > 0 then collect(metricsFailed, failures, minutes, now) end
  end
  return #mine, from
end
`;
