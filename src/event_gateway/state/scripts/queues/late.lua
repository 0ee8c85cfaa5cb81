-- Returns the webhooks whose longest due delivery has been due for a while, each with the time (ms)
-- since which that delivery has waited: the receipt of its event, or its due time if it was started
-- again by hand or by a replay.
-- ARGV: rank in the due webhooks to begin at, limit of webhooks to look at, for how long (ms) a
-- delivery must have been due.
-- Returns {webhook, time, …}, and how many webhooks were looked at.
-- include shared/clock.lua
local begin, limit, least = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local webhooks = redis.call('ZRANGE', DUE_KEY, begin, begin + limit - 1)
local late = {}
for _, webhook in ipairs(webhooks) do
  local head = redis.call('ZRANGE', queue_key(webhook), 0, 0, 'WITHSCORES')
  if head[1] and now - tonumber(head[2]) >= least then
    local record = redis.call('HMGET', delivery_key(webhook, head[1]), 'event_at', 'repeats')
    local again = record[2] and record[2] ~= ''
    late[#late + 1] = webhook
    late[#late + 1] = not again and record[1] and record[1] ~= '' and record[1] or head[2]
  end
end
return { late, #webhooks }
