-- Which webhooks have become due. ARGV: since when (ms, exclusive), how many.
-- Answers {webhooks}, until when all are told (ms), ms until the next ones become due (-1: none).
local due = redis.call('ZRANGEBYSCORE', prefix .. 'due', '(' .. ARGV[1], now, 'WITHSCORES',
  'LIMIT', 0, tonumber(ARGV[2]))
local webhooks = {}
for position = 1, #due, 2 do webhooks[#webhooks + 1] = due[position] end
-- Where there are more, and at this very millisecond, nothing may be missed: those of the last one
-- are told again, unless they fill it all.
if #webhooks == tonumber(ARGV[2]) then
  local last = tonumber(due[#due])
  return { webhooks, last > tonumber(due[2]) and last - 1 or last, 0 }
end
local later = redis.call('ZRANGEBYSCORE', prefix .. 'due', '(' .. now, '+inf', 'WITHSCORES',
  'LIMIT', 0, 1)
return { webhooks, now - 1, later[2] and math.ceil(later[2] - now) or -1 }
