-- Decides whether an attempt may start whose delivery is not leased from the queue.
-- ARGV: webhook, lease of a probe in ms, token, msgpack array of Limit.
-- Returns {1 or 0, 1 if it is the circuit breaker's probe, ms after which to try again}.
-- include shared/clock.lua
-- include shared/throttle.lua
-- include shared/rate_limit.lua
local webhook, probe_lease, token, packed_limits = unpack(ARGV)
local breaker = breaker_key(webhook)
if redis.call('SISMEMBER', PAUSED_KEY, webhook) == 1 then return { 0, 0, 1000 } end
local throttled = throttled_until(webhook)
if throttled > 0 then return { 0, 0, throttled - now } end
local open_until = tonumber(redis.call('HGET', breaker, 'until') or '')
if open_until and open_until > now then return { 0, 0, open_until - now } end
local limits = cmsgpack.unpack(packed_limits)
if #limits > 0 then
  local allowed, next_permit = permits(webhook, 1, limits)
  if allowed == 0 then return { 0, 0, math.max(1, next_permit - now) } end
end
if open_until then
  redis.call('HSET', breaker, 'state', 'half_open', 'token', token, 'until', now + probe_lease)
  redis.call('HSET', GATES_KEY, webhook, now + probe_lease)
  return { 1, 1, 0 }
end
return { 1, 0, 0 }
