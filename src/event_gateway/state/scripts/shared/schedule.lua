-- Maintains `due`, which lists webhooks by when their next queued delivery can start. A script that
-- changes a webhook's queue, pause, gate or throttle calls reschedule for the webhook.
-- include shared/throttle.lua

-- A webhook becomes due with the first delivery of its queue, but not before its gate opens (its
-- circuit breaker is open, or its rate limit is used up), and not while it is throttled. A webhook
-- that is paused, or has an empty queue, is not listed.
local function reschedule(webhook)
  local first = redis.call('ZRANGE', queue_key(webhook), 0, 0, 'WITHSCORES')
  local first_due = first[2]
  if not first_due or redis.call('SISMEMBER', PAUSED_KEY, webhook) == 1 then
    redis.call('ZREM', DUE_KEY, webhook)
    return
  end
  local gate = tonumber(redis.call('HGET', GATES_KEY, webhook) or '0')
  local earliest = math.max(gate, throttled_until(webhook))
  redis.call('ZADD', DUE_KEY, math.max(tonumber(first_due), earliest), webhook)
end
