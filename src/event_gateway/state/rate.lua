-- A webhook's rate, over all processes. rate:{webhook} lists its latest permits, the newest first,
-- each by when it was planned and when it was given, in ms: of each {limit, period} in `limits`
-- never more than `limit` are given within `period` ms. They are also spread, one in period / limit
-- ms but at least one in 100 ms, so that what has waited does not come in one gust; a look that is
-- late by up to 50 ms catches up.
-- Answers how many of `wanted` attempts may start now, and when the next one may.
local function permits(webhook, wanted, limits)
  local key = prefix .. 'rate:' .. webhook
  local gap, most, longest = 0, 0, 0
  for _, one in ipairs(limits) do
    gap = math.max(gap, math.min(one[2] / one[1], 100))
    most, longest = math.max(most, one[1]), math.max(longest, one[2])
  end
  redis.call('LTRIM', key, 0, most - 1)
  local held = redis.call('LLEN', key)
  local newest = string.match(redis.call('LINDEX', key, 0) or '0', '^%S+')
  local at, allowed = math.max(tonumber(newest) + gap, now - 50), 0
  while true do
    for _, one in ipairs(limits) do
      if held >= one[1] then
        local given = string.match(redis.call('LINDEX', key, one[1] - 1), '%S+$')
        at = math.max(at, tonumber(given) + one[2])
      end
    end
    if allowed == wanted or at > now then break end
    redis.call('LPUSH', key, at .. ' ' .. now)
    if held == most then redis.call('LTRIM', key, 0, most - 1) else held = held + 1 end
    allowed, at = allowed + 1, at + gap
  end
  redis.call('PEXPIRE', key, math.ceil(longest) + 60000)
  return allowed, math.ceil(at)
end
