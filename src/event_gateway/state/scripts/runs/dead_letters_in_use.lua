-- Which dead letters of a webhook are still needed by deliveries that were started from them.
-- ARGV: webhook, how many are wanted. Answers their positions.
-- An entry of lent:{webhook} is "position member". A delivery that has ended, or has been started
-- from another dead letter since, needs the dead letter no more. lenders lists the webhooks with
-- entries.
local webhook, most = unpack(ARGV)
most = tonumber(most)
local lent, positions = lent_key(webhook), {}
for _, entry in ipairs(redis.call('ZRANGE', lent, 0, 999)) do
  local position, member = string.match(entry, '^(%d+) (.*)$')
  local status, letter =
    unpack(redis.call('HMGET', delivery_key(webhook, member), 'status', 'letter'))
  if status and not FINAL[status] and letter == position then
    if #positions < most then positions[#positions + 1] = tonumber(position) end
  else
    redis.call('ZREM', lent, entry)
  end
end
if redis.call('EXISTS', lent) == 0 then redis.call('SREM', LENDERS_KEY, webhook) end
return positions
