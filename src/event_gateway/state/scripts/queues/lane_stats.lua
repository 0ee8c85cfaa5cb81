-- Returns the state of a webhook's lane. ARGV: webhook, how many leases to read, the longest lease
-- in ms, 1 if the webhook is ordered.
-- Returns {name, value, …}; a value may be false. `total` and `day` are such lists too: the counts
-- since the registration, and of the last 24 hours.
-- include shared/clock.lua
-- include shared/counts.lua
-- include shared/throttle.lua
local webhook, max_leases, longest_lease, ordered = unpack(ARGV)
local queue = queue_key(webhook)
-- Attempts that run: deliveries in progress whose lease has not ended. Deliveries of an ordered
-- webhook are not queued: they are among those that changed last.
local running = 0
local members
if ordered == '1' then
  members = redis.call('ZREVRANGE', recent_key(webhook), 0, max_leases - 1)
else
  members =
    redis.call('ZRANGEBYSCORE', queue, '(' .. now, now + longest_lease, 'LIMIT', 0, max_leases)
end
for _, member in ipairs(members) do
  local status, leased_until =
    unpack(redis.call('HMGET', delivery_key(webhook, member), 'status', 'next_attempt_at'))
  if status == 'in_progress' and (tonumber(leased_until) or 0) > now then running = running + 1 end
end
-- The oldest event: of the deliveries that are next, and of those that are due last, which have
-- failed most often.
local SAMPLE = 100
local oldest
local function look_at(from, to)
  for _, member in ipairs(redis.call('ZRANGE', queue, from, to)) do
    local event_at = tonumber(redis.call('HGET', delivery_key(webhook, member), 'event_at') or '')
    if event_at and event_at > 0 then oldest = math.min(oldest or event_at, event_at) end
  end
end
look_at(0, SAMPLE - 1)
if redis.call('ZCARD', queue) > SAMPLE then look_at(-SAMPLE, -1) end
local state, open_until, open_since =
  unpack(redis.call('HMGET', breaker_key(webhook), 'state', 'until', 'since'))
local throttled = throttled_until(webhook)
local minute, in_minute, in_last =
  unpack(redis.call('HMGET', stats_key(webhook), 'minute', 'this', 'before'))
local this_minute = math.floor(now / 60000)
local this, before = 0, 0
if tonumber(minute) == this_minute then
  this, before = in_minute, in_last
elseif tonumber(minute) == this_minute - 1 then
  before = in_minute
end
local sums = {}
local buckets = redis.call('HGETALL', hours_key(webhook))
for index = 1, #buckets, 2 do
  local hour, name = string.match(buckets[index], '^(%d+):(.*)$')
  if tonumber(hour) > this_hour - HOURS then
    sums[name] = (sums[name] or 0) + tonumber(buckets[index + 1])
  end
end
local day = {}
for name, number in pairs(sums) do
  day[#day + 1] = name
  day[#day + 1] = number
end
return {
  'depth', redis.call('ZCARD', queue), 'due', redis.call('ZCOUNT', queue, '-inf', now),
  'running', running,
  'oldest', oldest and tostring(oldest) or false, 'breaker', state, 'open_until', open_until,
  'open_since', open_since, 'failing_since', redis.call('HGET', FAILING_KEY, webhook),
  'throttled_until', throttled > 0 and tostring(throttled),
  'this_minute', this, 'last_minute', before, 'now', now,
  'total', redis.call('HGETALL', stats_key(webhook)), 'day', day,
}
