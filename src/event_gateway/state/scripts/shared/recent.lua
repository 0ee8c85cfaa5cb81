-- Bounds recent:{webhook}, the deliveries that changed last.

local MAX_RECENT = 1000

-- Removes all but the latest deliveries; ttl: ms for which records of final deliveries are stored.
local function trim_recent(webhook, ttl)
  local recent = recent_key(webhook)
  redis.call('ZREMRANGEBYRANK', recent, 0, -MAX_RECENT - 1)
  redis.call('PEXPIRE', recent, ttl)
end
