-- What all scripts share: when a webhook's queue is to be looked at again.
-- Keys: queue:{webhook} holds its waiting deliveries by the time each is due; due holds the
-- webhooks by the time their queue is worth a look; paused are those that wait for people, shut
-- those whose breaker is not closed (breaker:{webhook} says more);
-- gates say until when no delivery of a webhook is taken (its breaker is open, its rate used up);
-- failing says since when all its attempts have failed. All times in ms of this server's clock.
local prefix = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local RECENT, ANSWERED, HOURS = 1000, 100, 24

-- recent:{webhook} holds the deliveries that have changed last, by when.
local function keep_recent(webhook, ttl)
  local recent = prefix .. 'recent:' .. webhook
  redis.call('ZREMRANGEBYRANK', recent, 0, -RECENT - 1)
  redis.call('PEXPIRE', recent, ttl)
end

-- stats:{webhook} counts; hours:{webhook} does for each of the last hours, fields hour:name.
local hour = math.floor(now / 3600000)
local function count(webhook, name, by)
  if by == 0 then return end
  redis.call('HINCRBY', prefix .. 'stats:' .. webhook, name, by)
  local hours = prefix .. 'hours:' .. webhook
  if redis.call('HINCRBY', hours, hour .. ':' .. name, by) == by then
    for _, field in ipairs(redis.call('HKEYS', hours)) do
      if tonumber(string.match(field, '^%d+')) <= hour - HOURS then
        redis.call('HDEL', hours, field)
      end
    end
    redis.call('PEXPIRE', hours, HOURS * 3600000)
  end
end

-- answers:{webhook} has what receivers said to the deliveries of answered:{webhook}, the latest.
local function forget_answers(webhook, member)
  redis.call('HDEL', prefix .. 'answers:' .. webhook, member)
  redis.call('ZREM', prefix .. 'answered:' .. webhook, member)
end

local function look_again(webhook)
  local first = redis.call('ZRANGE', prefix .. 'queue:' .. webhook, 0, 0, 'WITHSCORES')
  if not first[2] or redis.call('SISMEMBER', prefix .. 'paused', webhook) == 1 then
    redis.call('ZREM', prefix .. 'due', webhook)
    return
  end
  local gate = tonumber(redis.call('HGET', prefix .. 'gates', webhook) or '0')
  redis.call('ZADD', prefix .. 'due', math.max(tonumber(first[2]), gate), webhook)
end
