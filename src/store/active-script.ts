/** The part of the turn scripts that takes jobs from the list of the active. */

/** From so many searches on, it costs Redis less to write the list of the active anew: measured at 100 to 10,000 active jobs. */
const MANY_APART = 16;

/** `activeOf(ids)` looks, `moveFromActive(ids, found, place)` writes; they take `active`, `base` and the sets of the other states. */
export const FROM_ACTIVE = `
-- Where these ids stand in active: so many together at its old end (tail), others further up (between), or, by its place among the
-- ids, nowhere or twice (gone). Mostly jobs end in the order in which they were reserved. Where many do not, active is read once
-- and what stays is noted in order (rest): a search for each would go past all that were reserved before. One by itself is taken
-- as it is found: nothing may fail from here to moveFromActive.
local function activeOf(ids)
  if #ids == 1 then return {isTaken = true, gone = {redis.call('LREM', active, -1, ids[1]) == 0 or nil}} end
  local oldest = redis.call('LRANGE', active, -#ids, '-1')
  local isTail, after = true, #oldest + 1
  for n = 1, #ids do
    if oldest[after - n] ~= ids[n] then
      isTail = false
      break
    end
  end
  if isTail then return {tail = #ids, between = {}, gone = {}} end
  local found, sought, stands = {tail = 0, between = {}, gone = {}}, {}, {}
  for _, id in ipairs(ids) do sought[id] = true end
  while sought[oldest[#oldest - found.tail]] do
    stands[oldest[#oldest - found.tail]] = true
    sought[oldest[#oldest - found.tail]] = nil
    found.tail = found.tail + 1
  end
  local apart = #ids - found.tail
  if apart >= ${MANY_APART} then
    found.rest = {}
    for _, id in ipairs(redis.call('LRANGE', active, 0, -found.tail - 1)) do
      if sought[id] then
        sought[id], stands[id] = nil, true
      else
        found.rest[#found.rest + 1] = id
      end
    end
  end
  for n, id in ipairs(ids) do
    if not found.rest and sought[id] and redis.call('LPOS', active, id, 'RANK', -1) then
      sought[id], stands[id] = nil, true
      found.between[#found.between + 1] = id
    end
    found.gone[n] = not stands[id] or nil
    stands[id] = nil
  end
  return found
end

-- Takes from active what activeOf has found there.
local function leaveActive(found)
  if found.isTaken then return end
  if not found.rest then
    if found.tail > 0 then redis.call('LTRIM', active, '0', -found.tail - 1) end
    for _, id in ipairs(found.between) do redis.call('LREM', active, -1, id) end
  elseif #found.rest == 0 then
    redis.call('DEL', active)
  else
    local staying = base .. 'millrace:staying'
    redis.call('DEL', staying)
    for from = 1, #found.rest, 1000 do redis.call('RPUSH', staying, unpack(found.rest, from, math.min(from + 999, #found.rest))) end
    redis.call('RENAME', staying, active)
  end
end

-- Takes them from active, which needs no memory and so comes first, and places them anew. Should that fail, they are active again:
-- each step for itself, since what fails may be a place of another type.
local function moveFromActive(ids, found, place)
  attempt(function()
    leaveActive(found)
    place()
  end, function()
    for i = #ids, 1, -1 do
      if not redis.call('LPOS', active, ids[i]) then redis.call('RPUSH', active, ids[i]) end
      for _, set in ipairs({completed, failed, delayed, prioritized}) do redis.pcall('ZREM', set, ids[i]) end
      redis.pcall('LREM', wait, 0, ids[i])
    end
  end)
end
`;
