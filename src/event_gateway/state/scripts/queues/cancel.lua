-- Cancels deliveries in a webhook's queue, due or not.
-- ARGV: webhook, limit, reason, ms for which records of final deliveries are stored, 1 if the
-- webhook is deleted and its other data is to be deleted with the last delivery.
-- Returns how many deliveries are left, and how many were cancelled.
-- include shared/schedule.lua
-- include shared/cancel_delivery.lua
local webhook, limit, reason, ttl, deleted = unpack(ARGV)
local queue = queue_key(webhook)
local cancelled = 0
for _, member in ipairs(redis.call('ZRANGE', queue, 0, tonumber(limit) - 1)) do
  local key = delivery_key(webhook, member)
  if redis.call('EXISTS', key) == 1 then
    cancel_delivery(webhook, member, key, reason, ttl)
    cancelled = cancelled + 1
  end
  redis.call('ZREM', queue, member)
end
count_cancelled(webhook, cancelled, ttl)
local left = redis.call('ZCARD', queue)
if left == 0 and deleted == '1' then forget_webhook(webhook) end
reschedule(webhook)
return { left, cancelled }
