-- Returns the webhooks that have become due. ARGV: since (ms, exclusive), limit of webhooks.
-- Returns {webhooks}, the time up to which they are complete (ms), ms until the next webhook
-- becomes due (-1: there is none), and how many webhooks are due, also since before.
-- include shared/clock.lua
local since, limit = unpack(ARGV)
limit = tonumber(limit)
local due = redis.call('ZRANGEBYSCORE', DUE_KEY, '(' .. since, now, 'WITHSCORES', 'LIMIT', 0, limit)
local all = redis.call('ZCOUNT', DUE_KEY, '-inf', now)
local webhooks = {}
for index = 1, #due, 2 do webhooks[#webhooks + 1] = due[index] end
-- At the limit there may be more webhooks with the due time of the last one. So the next call
-- returns the webhooks of that millisecond again, unless all webhooks of this call are due in it.
if #webhooks == limit then
  local first, last = tonumber(due[2]), tonumber(due[#due])
  return { webhooks, last > first and last - 1 or last, 0, all }
end
local later = redis.call('ZRANGEBYSCORE', DUE_KEY, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_due = later[2]
return { webhooks, now - 1, next_due and math.ceil(next_due - now) or -1, all }
