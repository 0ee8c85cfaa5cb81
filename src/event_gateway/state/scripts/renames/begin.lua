-- Gives the state of a renamed webhook's lane to its new id, which has none yet: circuit breaker,
-- throttle, since when its attempts fail, and the latest starts for its rate limits. It may be
-- called again.
-- ARGV: former id, new id.
-- include shared/schedule.lua
local former, webhook = unpack(ARGV)

local function give_key(from, to)
  if redis.call('EXISTS', from) == 1 and redis.call('EXISTS', to) == 0 then
    redis.call('RENAME', from, to)
  end
end

local function give_field(key)
  local value = redis.call('HGET', key, former)
  if value then
    redis.call('HSETNX', key, webhook, value)
    redis.call('HDEL', key, former)
  end
end

give_key(breaker_key(former), breaker_key(webhook))
if redis.call('EXISTS', breaker_key(webhook)) == 1 then
  redis.call('SADD', BREAKERS_NOT_CLOSED_KEY, webhook)
end
redis.call('SREM', BREAKERS_NOT_CLOSED_KEY, former)
give_field(GATES_KEY)
give_field(THROTTLED_KEY)
give_field(FAILING_KEY)
give_key(rate_key(former), rate_key(webhook))
reschedule(former)
reschedule(webhook)
