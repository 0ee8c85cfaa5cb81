-- What all scripts share: when a webhook's queue is to be looked at again.
-- Keys: queue:{webhook} holds its waiting deliveries by the time each is due; due holds the
-- webhooks by the time their queue is worth a look; paused are those that wait for people, shut
-- those whose breaker is not closed (breaker:{webhook} says more);
-- gates say until when no delivery of a webhook is taken (its breaker is open, its rate used up);
-- failing says since when all its attempts have failed. All times in ms of this server's clock.
local prefix = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function look_again(webhook)
  local first = redis.call('ZRANGE', prefix .. 'queue:' .. webhook, 0, 0, 'WITHSCORES')
  if not first[2] or redis.call('SISMEMBER', prefix .. 'paused', webhook) == 1 then
    redis.call('ZREM', prefix .. 'due', webhook)
    return
  end
  local gate = tonumber(redis.call('HGET', prefix .. 'gates', webhook) or '0')
  redis.call('ZADD', prefix .. 'due', math.max(tonumber(first[2]), gate), webhook)
end
