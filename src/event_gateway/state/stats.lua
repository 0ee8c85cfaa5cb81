-- How a webhook's lane stands. ARGV: webhook, how many leases are looked at.
-- Answers {depth, waiting and due, attempts that run, the oldest event's time in ms ('': none),
-- breaker state ('': closed), open until, open since, failing since, attempts, succeeded,
-- attempts in this minute, in the one before}; all but the counts may be false.
local webhook = ARGV[1]
local queue = prefix .. 'queue:' .. webhook
local running = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', queue, '(' .. now, '+inf', 'LIMIT', 0,
    tonumber(ARGV[2]))) do
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  if redis.call('HGET', key, 'status') == 'in_progress' then running = running + 1 end
end
local first = redis.call('ZRANGE', queue, 0, 0)[1]
local oldest = false
if first then
  oldest = redis.call('HGET', prefix .. 'delivery:' .. webhook .. ':' .. first, 'event_at')
end
local breaker = redis.call('HMGET', prefix .. 'breaker:' .. webhook, 'state', 'until', 'since')
local stats = redis.call('HMGET', prefix .. 'stats:' .. webhook, 'attempts', 'succeeded', 'minute',
  'this', 'before')
local minute = math.floor(now / 60000)
local this, before = 0, 0
if tonumber(stats[3]) == minute then
  this, before = stats[4], stats[5]
elseif tonumber(stats[3]) == minute - 1 then
  before = stats[4]
end
return { redis.call('ZCARD', queue), redis.call('ZCOUNT', queue, '-inf', now), running,
  oldest, breaker[1], breaker[2], breaker[3], redis.call('HGET', prefix .. 'failing', webhook),
  stats[1], stats[2], this, before, now }
