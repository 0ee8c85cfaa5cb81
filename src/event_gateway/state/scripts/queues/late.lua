-- Returns the webhooks whose longest due delivery has been due for a while, each with the ms for
-- which it has been.
-- ARGV: rank in the due webhooks to begin at, limit of webhooks to look at, for how long (ms) a
-- delivery must have been due.
-- Returns {webhook, ms, …}, and how many webhooks were looked at.
-- include shared/clock.lua
local begin, limit, least = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local webhooks = redis.call('ZRANGE', DUE_KEY, begin, begin + limit - 1)
local late = {}
for _, webhook in ipairs(webhooks) do
  local head = redis.call('ZRANGE', queue_key(webhook), 0, 0, 'WITHSCORES')
  local waited = head[1] and now - tonumber(head[2]) or 0
  if waited >= least then
    late[#late + 1] = webhook
    late[#late + 1] = math.floor(waited)
  end
end
return { late, #webhooks }
