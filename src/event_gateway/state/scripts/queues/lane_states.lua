-- Returns the webhooks that are paused, those whose circuit breaker is not closed, and those that
-- are throttled, each with for how many ms.
-- include shared/clock.lua
local throttled = {}
local ends = redis.call('HGETALL', THROTTLED_KEY)
for index = 1, #ends, 2 do
  local left = tonumber(ends[index + 1]) - now
  if left > 0 then
    throttled[#throttled + 1] = ends[index]
    throttled[#throttled + 1] = left
  end
end
local not_closed = redis.call('SMEMBERS', BREAKERS_NOT_CLOSED_KEY)
return { redis.call('SMEMBERS', PAUSED_KEY), not_closed, throttled }
