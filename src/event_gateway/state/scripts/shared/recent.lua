-- Bounds recent:{webhook}, the deliveries that have changed last.

local MAX_RECENT = 1000

-- Drops all but the latest; ttl: ms for which the records of final deliveries are kept.
local function trim_recent(webhook, ttl)
  local recent = recent_key(webhook)
  redis.call('ZREMRANGEBYRANK', recent, 0, -MAX_RECENT - 1)
  redis.call('PEXPIRE', recent, ttl)
end
