-- Counts the deliveries of a webhook that lists have.
-- ARGV: webhook, status ('': any), begin and end of the time of the last change (ms, '': any),
-- 1 for those in `recent`, 1 for those in the queue, the longest lease in ms. Looks at MAX_RECENT
-- of each.
-- Returns {the number, 1 if there may be fewer}.
-- include shared/clock.lua
-- include shared/timestamp.lua
-- include shared/recent.lua
local webhook, status, from, till, of_recent, of_queue, longest_lease = unpack(ARGV)
from = from ~= '' and iso8601(tonumber(from))
till = till ~= '' and iso8601(tonumber(till))
local recent, queue = recent_key(webhook), queue_key(webhook)

local function is_listed(member)
  local recorded, at = unpack(
    redis.call('HMGET', delivery_key(webhook, member), 'status', 'timestamp'))
  if not recorded then return false end
  at = at and timestamp_text(at)
  return (status == '' or recorded == status) and (not from or at >= from)
    and (not till or at < till)
end

local total = 0
if of_recent == '1' then
  for _, member in ipairs(redis.call('ZRANGE', recent, 0, -1)) do
    if is_listed(member) then total = total + 1 end
  end
end
if of_queue == '1' then
  local least = status == 'in_progress' and '(' .. now or '-inf'
  local bounded = status == 'pending' or status == 'in_progress'
  local most = bounded and now + tonumber(longest_lease) or '+inf'
  local size = redis.call('ZCOUNT', queue, least, most)
  if size > MAX_RECENT then return { total + size, 1 } end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', queue, least, most)) do
    local counted = of_recent == '1' and redis.call('ZSCORE', recent, member)
    if not counted and is_listed(member) then total = total + 1 end
  end
end
return { total, 0 }
