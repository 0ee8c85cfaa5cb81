-- Cancels a chunk of a webhook's queue, whatever its time; ARGV: webhook, how many, reason, expiry
-- of the records in ms, 1 where the webhook is gone and its lane is to be forgotten with the last.
-- Answers how many are left.
local webhook = ARGV[1]
local queue = prefix .. 'queue:' .. webhook
local cancelled = 0
for _, member in ipairs(redis.call('ZRANGE', queue, 0, tonumber(ARGV[2]) - 1)) do
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'status', 'cancelled', 'timestamp', now, 'last_error', ARGV[3],
      'token', '', 'next_attempt_at', '')
    redis.call('PEXPIRE', key, ARGV[4])
    redis.call('ZADD', prefix .. 'recent:' .. webhook, now, member)
    cancelled = cancelled + 1
  end
  redis.call('ZREM', queue, member)
end
if cancelled > 0 then
  keep_recent(webhook, tonumber(ARGV[4]))
  count(webhook, 'cancelled', cancelled)
end
local left = redis.call('ZCARD', queue)
if left == 0 and ARGV[5] == '1' then
  redis.call('DEL', prefix .. 'breaker:' .. webhook, prefix .. 'rate:' .. webhook,
    prefix .. 'stats:' .. webhook, prefix .. 'hours:' .. webhook, prefix .. 'answers:' .. webhook,
    prefix .. 'answered:' .. webhook, prefix .. 'recent:' .. webhook)
  redis.call('HDEL', prefix .. 'gates', webhook)
  redis.call('HDEL', prefix .. 'failing', webhook)
  redis.call('SREM', prefix .. 'paused', webhook)
  redis.call('SREM', prefix .. 'shut', webhook)
end
look_again(webhook)
return left
