-- Limits how many attempts of a webhook start, over all processes.
-- include shared/clock.lua

-- rate:{webhook} lists the latest permits, the newest first: the planned and the actual time of
-- each, in ms. For each {attempts, period} in `limits` the script never gives more than `attempts`
-- permits within `period` ms. It also spreads the permits, with a gap of period / attempts ms but
-- at most 100 ms, so that pending deliveries do not start in one burst; a call that is up to 50 ms
-- late catches up.
-- Returns how many of the `requested` attempts may start now, and when the next may start, in ms.
local function permits(webhook, requested, limits)
  local key = rate_key(webhook)
  local gap, most, longest = 0, 0, 0
  for _, limit in ipairs(limits) do
    gap = math.max(gap, math.min(limit[LIMIT_PERIOD] / limit[LIMIT_ATTEMPTS], 100))
    most, longest = math.max(most, limit[LIMIT_ATTEMPTS]), math.max(longest, limit[LIMIT_PERIOD])
  end
  redis.call('LTRIM', key, 0, most - 1)
  local stored = redis.call('LLEN', key)
  local newest = string.match(redis.call('LINDEX', key, 0) or '0', '^%S+')
  local at, allowed = math.max(tonumber(newest) + gap, now - 50), 0
  while true do
    for _, limit in ipairs(limits) do
      if stored >= limit[LIMIT_ATTEMPTS] then
        local given = string.match(redis.call('LINDEX', key, limit[LIMIT_ATTEMPTS] - 1), '%S+$')
        at = math.max(at, tonumber(given) + limit[LIMIT_PERIOD])
      end
    end
    if allowed == requested or at > now then break end
    redis.call('LPUSH', key, at .. ' ' .. now)
    if stored == most then redis.call('LTRIM', key, 0, most - 1) else stored = stored + 1 end
    allowed, at = allowed + 1, at + gap
  end
  redis.call('PEXPIRE', key, math.ceil(longest) + 60000)
  return allowed, math.ceil(at)
end
