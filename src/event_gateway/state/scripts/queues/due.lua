-- Which webhooks have become due. ARGV: since when (ms, exclusive), how many webhooks at most.
-- Answers {webhooks}, up to when these are all (ms), ms until the next webhook is due (-1: none
-- is).
-- include shared/clock.lua
local since, most = unpack(ARGV)
most = tonumber(most)
local due = redis.call('ZRANGEBYSCORE', DUE_KEY, '(' .. since, now, 'WITHSCORES', 'LIMIT', 0, most)
local webhooks = {}
for index = 1, #due, 2 do webhooks[#webhooks + 1] = due[index] end
-- Where there are more, also of this very millisecond, none may be missed: the webhooks of the last
-- millisecond are answered again, unless all of the answer is of that one.
if #webhooks == most then
  local first, last = tonumber(due[2]), tonumber(due[#due])
  return { webhooks, last > first and last - 1 or last, 0 }
end
local later = redis.call('ZRANGEBYSCORE', DUE_KEY, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_due = later[2]
return { webhooks, now - 1, next_due and math.ceil(next_due - now) or -1 }
