-- Cancels deliveries.
-- include shared/clock.lua
-- include shared/timestamp.lua
-- include shared/recent.lua
-- include shared/counts.lua

-- Writes the record of a cancelled delivery; the caller removes it from its queue, and calls
-- count_cancelled afterwards. ttl: ms for which records of final deliveries are stored.
local function cancel_delivery(webhook, member, key, reason, ttl)
  redis.call('HSET', key, 'status', 'cancelled', 'timestamp', iso8601(now), 'last_error', reason,
    'token', '', 'next_attempt_at', '')
  redis.call('PEXPIRE', key, ttl)
  redis.call('ZADD', recent_key(webhook), now, member)
end

local function count_cancelled(webhook, number, ttl)
  if number == 0 then return end
  trim_recent(webhook, ttl)
  count(webhook, 'cancelled', number)
end
