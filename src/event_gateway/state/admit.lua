-- Whether an attempt may begin that is not taken from the queue; ARGV: webhook, lease of a probe
-- in ms, token, msgpack array of its limits as {how many, in how many ms}.
-- Answers {1 or 0, 1 where it is the breaker's probe, ms until it is worth asking again}.
local webhook = ARGV[1]
local breaker = prefix .. 'breaker:' .. webhook
if redis.call('SISMEMBER', prefix .. 'paused', webhook) == 1 then return { 0, 0, 1000 } end
local shut = tonumber(redis.call('HGET', breaker, 'until') or '')
if shut and shut > now then return { 0, 0, shut - now } end
local limits = cmsgpack.unpack(ARGV[4])
if #limits > 0 then
  local allowed, again = permits(webhook, 1, limits)
  if allowed == 0 then return { 0, 0, math.max(1, again - now) } end
end
if shut then
  redis.call('HSET', breaker, 'state', 'half_open', 'token', ARGV[3], 'until', now + ARGV[2])
  redis.call('HSET', prefix .. 'gates', webhook, now + ARGV[2])
  return { 1, 1, 0 }
end
return { 1, 0, 0 }
