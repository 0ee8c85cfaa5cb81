-- Cancels a chunk of a webhook's queue, whatever its time. KEYS[1]: the prefix of all keys.
-- ARGV: webhook, how many, reason, expiry of the records in ms. Answers how many are left.
local prefix, webhook = KEYS[1], ARGV[1]
local queue = prefix .. 'queue:' .. webhook
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGE', queue, 0, tonumber(ARGV[2]) - 1)) do
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'status', 'cancelled', 'timestamp', now, 'last_error', ARGV[3],
      'token', '', 'next_attempt_at', '')
    redis.call('PEXPIRE', key, ARGV[4])
  end
  redis.call('ZREM', queue, member)
end
local left = redis.call('ZCARD', queue)
if left == 0 then redis.call('ZREM', prefix .. 'due', webhook) end
return left
