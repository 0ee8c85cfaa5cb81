-- How a webhook's lane stands. ARGV: webhook, how many leases are looked at, the longest one in ms.
-- Answers {depth, waiting and due, attempts that run, the oldest event's time in ms ('': none),
-- breaker state ('': closed), open until, open since, failing since, attempts in this minute, in the one before, now, {name, count, …} of all time, the same of the
-- last 24 hours}; all but the counts may be false.
local webhook = ARGV[1]
local queue = prefix .. 'queue:' .. webhook
local running = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', queue, '(' .. now, now + ARGV[3], 'LIMIT',
    0, tonumber(ARGV[2]))) do
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  if redis.call('HGET', key, 'status') == 'in_progress' then running = running + 1 end
end
local first = redis.call('ZRANGE', queue, 0, 0)[1]
local oldest = false
if first then
  oldest = redis.call('HGET', prefix .. 'delivery:' .. webhook .. ':' .. first, 'event_at')
end
local breaker = redis.call('HMGET', prefix .. 'breaker:' .. webhook, 'state', 'until', 'since')
local stats = redis.call('HMGET', prefix .. 'stats:' .. webhook, 'minute', 'this', 'before')
local minute = math.floor(now / 60000)
local this, before = 0, 0
if tonumber(stats[1]) == minute then
  this, before = stats[2], stats[3]
elseif tonumber(stats[1]) == minute - 1 then
  before = stats[2]
end
local hours, first_hour = {}, math.floor(now / 3600000) - HOURS
local buckets = redis.call('HGETALL', prefix .. 'hours:' .. webhook)
for position = 1, #buckets, 2 do
  local hour, name = string.match(buckets[position], '^(%d+):(.*)$')
  if tonumber(hour) > first_hour then
    hours[name] = (hours[name] or 0) + tonumber(buckets[position + 1])
  end
end
local day = {}
for name, number in pairs(hours) do
  day[#day + 1] = name
  day[#day + 1] = number
end
return { redis.call('ZCARD', queue), redis.call('ZCOUNT', queue, '-inf', now), running,
  oldest, breaker[1], breaker[2], breaker[3], redis.call('HGET', prefix .. 'failing', webhook),
  this, before, now, redis.call('HGETALL', prefix .. 'stats:' .. webhook), day }
