-- Adds what a process has counted to the history of the gateway and of webhooks.
-- ARGV: process, the number of its write (from 1), msgpack of HistoryWrite.
-- Returns the time of this server's clock, in ms, and the webhooks for which there is no room.
-- include shared/clock.lua
local process, number, packed = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local written = history_written_key(process)
if number <= tonumber(redis.call('GET', written) or '0') then return { now } end
redis.call('SET', written, number, 'PX', HISTORY_WRITTEN_TTL)
local write = cmsgpack.unpack(packed)

local HOUR = 3600

local function add_latencies(total, more)
  for index = 1, #more do total[index] = total[index] + more[index] end
end

local function keep_highest(total, more, from, to)
  for index = from, to do total[index] = math.max(total[index], more[index]) end
end

-- Adds to the point of a ring at this time. Returns the point, and whether it is new; nothing if a
-- later point has its place.
local function add_point(ring, point, time, covered, subscribers)
  local step, size = unpack(ring)
  local key, field = history_key(step), (time / step) % size
  local stored = redis.call('HGET', key, field)
  local total, is_new = stored and cmsgpack.unpack(stored), false
  if total and total[GATEWAY_POINT_TIME] > time and total[GATEWAY_POINT_TIME] <= now / 1000 then
    return nil
  end
  if total and total[GATEWAY_POINT_TIME] == time then
    for index = GATEWAY_POINT_RECEIVED, GATEWAY_POINT_FAILED_ATTEMPTS do
      total[index] = total[index] + point[index]
    end
    if covered then
      total[GATEWAY_POINT_COVERED] = total[GATEWAY_POINT_COVERED] + covered
      total[GATEWAY_POINT_SUBSCRIBERS] = math.max(total[GATEWAY_POINT_SUBSCRIBERS], subscribers)
    else
      total[GATEWAY_POINT_SUBSCRIBERS] =
        total[GATEWAY_POINT_SUBSCRIBERS] + point[GATEWAY_POINT_SUBSCRIBERS]
    end
    keep_highest(total, point, GATEWAY_POINT_LAG, GATEWAY_POINT_OLDEST_MS)
    add_latencies(total[GATEWAY_POINT_LATENCY], point[GATEWAY_POINT_LATENCY])
  else
    is_new, total = true, {}
    for index = 1, #point do total[index] = point[index] end
    total[GATEWAY_POINT_TIME] = time
    total[GATEWAY_POINT_COVERED] = covered or step
    total[GATEWAY_POINT_SUBSCRIBERS] = subscribers or point[GATEWAY_POINT_SUBSCRIBERS]
  end
  redis.call('HSET', key, field, cmsgpack.pack(total))
  redis.call('PEXPIRE', key, HISTORY_TTL)
  return total, is_new
end

for _, point in ipairs(write[HISTORY_WRITE_POINTS]) do
  local rings = write[HISTORY_WRITE_RINGS]
  local total, is_new = add_point(rings[1], point, point[GATEWAY_POINT_TIME])
  for index = 2, #rings do
    if total then
      local step = rings[index][1]
      local time = point[GATEWAY_POINT_TIME] - point[GATEWAY_POINT_TIME] % step
      add_point(rings[index], point, time, is_new and rings[1][1] or 0,
        total[GATEWAY_POINT_SUBSCRIBERS])
    end
  end
end

-- Whether there is room for another webhook: of those that had no attempt for an hour, the one that
-- is the longest without makes it.
local function make_room(time)
  if redis.call('ZCARD', WEBHOOKS_WITH_HISTORY_KEY) < write[HISTORY_WRITE_MOST] then return true end
  redis.call('SET', HISTORY_INCOMPLETE_KEY, '1', 'PX', HISTORY_INCOMPLETE_TTL)
  local oldest = redis.call('ZRANGE', WEBHOOKS_WITH_HISTORY_KEY, 0, 0, 'WITHSCORES')
  if tonumber(oldest[2]) > time - HOUR then return false end
  redis.call('ZREM', WEBHOOKS_WITH_HISTORY_KEY, oldest[1])
  redis.call('DEL', webhook_history_key(oldest[1]))
  return true
end

local function add_to_hour(key, point)
  local time = point[WEBHOOK_POINT_TIME]
  local hour = (time - time % HOUR) / HOUR
  local stored = redis.call('HGET', key, hour)
  local points = stored and cmsgpack.unpack(stored) or {}
  local total
  for _, each in ipairs(points) do
    if each[WEBHOOK_POINT_TIME] == time then total = each end
  end
  if total then
    for index = WEBHOOK_POINT_SUCCEEDED, WEBHOOK_POINT_FAILED_ATTEMPTS do
      total[index] = total[index] + point[index]
    end
    keep_highest(total, point, WEBHOOK_POINT_WAITING, WEBHOOK_POINT_WAITING)
    add_latencies(total[WEBHOOK_POINT_LATENCY], point[WEBHOOK_POINT_LATENCY])
  else
    points[#points + 1] = point
  end
  redis.call('HSET', key, hour, cmsgpack.pack(points))
  if not stored then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      local other = tonumber(field)
      if other and other < now / 1000 / HOUR - write[HISTORY_WRITE_HOURS] - 1 then
        redis.call('HDEL', key, field)
      end
    end
  end
end

if write[HISTORY_WRITE_INCOMPLETE] then
  redis.call('SET', HISTORY_INCOMPLETE_KEY, '1', 'PX', HISTORY_INCOMPLETE_TTL)
end
redis.call('ZREMRANGEBYSCORE', WEBHOOKS_WITH_HISTORY_KEY, '-inf',
  math.floor((now - WEBHOOK_HISTORY_TTL) / 1000))
local result = { now }
for _, entry in ipairs(write[HISTORY_WRITE_WEBHOOKS]) do
  local webhook, point = unpack(entry)
  local key, time = webhook_history_key(webhook), point[WEBHOOK_POINT_TIME]
  local is_new = redis.call('EXISTS', key) == 0
  if is_new and not make_room(time) then
    result[#result + 1] = webhook
  else
    if is_new and redis.call('EXISTS', HISTORY_INCOMPLETE_KEY) == 1 then
      redis.call('HSET', key, 'from', time)
    end
    add_to_hour(key, point)
    redis.call('PEXPIRE', key, WEBHOOK_HISTORY_TTL)
    redis.call('ZADD', WEBHOOKS_WITH_HISTORY_KEY, time, webhook)
    redis.call('PEXPIRE', WEBHOOKS_WITH_HISTORY_KEY, WEBHOOKS_WITH_HISTORY_TTL)
  end
end
return result
