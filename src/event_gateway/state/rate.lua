-- A webhook's rate, over all processes. rate:{webhook} lists its latest permits, the newest first,
-- each by when it was planned and when it was given, in ms: never more than `limit` are given
-- within `period` ms. They are also spread, one in period / limit ms but at least one in 100 ms, so
-- that what has waited does not come in one gust; a look that is late by up to 50 ms catches up.
-- Answers how many of `wanted` attempts may start now, and when the next one may.
local function permits(webhook, wanted, limit, period)
  local key = prefix .. 'rate:' .. webhook
  local gap = math.min(period / limit, 100)
  redis.call('LTRIM', key, 0, limit - 1)
  local held = redis.call('LLEN', key)
  local newest = string.match(redis.call('LINDEX', key, 0) or '0', '^%S+')
  local at, allowed = math.max(tonumber(newest) + gap, now - 50), 0
  while true do
    if held == limit then
      local given = string.match(redis.call('LINDEX', key, -1), '%S+$')
      at = math.max(at, tonumber(given) + period)
    end
    if allowed == wanted or at > now then break end
    redis.call('LPUSH', key, at .. ' ' .. now)
    if held == limit then redis.call('LTRIM', key, 0, limit - 1) else held = held + 1 end
    allowed, at = allowed + 1, at + gap
  end
  redis.call('PEXPIRE', key, math.ceil(period) + 60000)
  return allowed, math.ceil(at)
end
