-- Webhooks that are throttled: their receivers have asked for no requests until a time.
-- include shared/clock.lua
local any_throttled = redis.call('EXISTS', THROTTLED_KEY) == 1

-- Until when a webhook is throttled, in ms; 0 if it is not.
local function throttled_until(webhook)
  if not any_throttled then return 0 end
  local ends = tonumber(redis.call('HGET', THROTTLED_KEY, webhook) or '0')
  if ends > now then return ends end
  redis.call('HDEL', THROTTLED_KEY, webhook)
  return 0
end
