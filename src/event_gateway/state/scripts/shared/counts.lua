-- Counts the attempts and results of a webhook's deliveries.
-- include shared/clock.lua

local HOURS = 24
local this_hour = math.floor(now / 3600000)

-- Adds to the count since the registration, and to the count of this hour.
local function count(webhook, name, by)
  if by == 0 then return end
  local stats = stats_key(webhook)
  if redis.call('HINCRBY', stats, name, by) == by then
    redis.call('PEXPIRE', stats, STATS_TTL)
  end
  local hours = hours_key(webhook)
  if redis.call('HINCRBY', hours, this_hour .. ':' .. name, by) == by then
    for _, field in ipairs(redis.call('HKEYS', hours)) do
      if tonumber(string.match(field, '^%d+')) <= this_hour - HOURS then
        redis.call('HDEL', hours, field)
      end
    end
    redis.call('PEXPIRE', hours, HOURS_TTL)
  end
end
