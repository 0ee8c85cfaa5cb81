-- Returns, one after the other for each webhook: the number of queued deliveries, the age in ms of
-- the oldest event among those that are due first and those that are due last (0: none), for how
-- many ms the delivery that is due longest has been due (0: none is, or the webhook is paused), and
-- the state of the circuit breaker (false: closed). ARGV: msgpack array of webhook ids, how many
-- deliveries to look at at each end of a queue.
-- include shared/clock.lua
local sample = tonumber(ARGV[2])
local figures = {}
for position, webhook in ipairs(cmsgpack.unpack(ARGV[1])) do
  local queue = queue_key(webhook)
  local depth, oldest = redis.call('ZCARD', queue), now
  local function look_at(from, to)
    for _, member in ipairs(redis.call('ZRANGE', queue, from, to)) do
      local event_at = tonumber(redis.call('HGET', delivery_key(webhook, member), 'event_at') or '')
      if event_at and event_at > 0 then oldest = math.min(oldest, event_at) end
    end
  end
  if depth > 0 then look_at(0, sample - 1) end
  if depth > sample then look_at(-sample, -1) end
  local lag = 0
  if depth > 0 and redis.call('SISMEMBER', PAUSED_KEY, webhook) == 0 then
    lag = math.max(0, now - tonumber(redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]))
  end
  figures[4 * position - 3] = depth
  figures[4 * position - 2] = math.floor(now - oldest)
  figures[4 * position - 1] = math.floor(lag)
  figures[4 * position] = redis.call('HGET', breaker_key(webhook), 'state')
end
return figures
