-- Finds the dead letters of a webhook that runs which were started from them still need.
-- ARGV: webhook, limit. Returns their positions. An entry of lent:{webhook} is "position member". A
-- delivery that has ended, or has a later run from another dead letter, does not need the dead
-- letter any more. `lenders` lists the webhooks with entries.
local webhook, limit = unpack(ARGV)
limit = tonumber(limit)
local in_use, positions = dead_letters_in_use_key(webhook), {}
for _, entry in ipairs(redis.call('ZRANGE', in_use, 0, 999)) do
  local position, member = string.match(entry, '^(%d+) (.*)$')
  local status, dead_letter =
    unpack(redis.call('HMGET', delivery_key(webhook, member), 'status', 'letter'))
  if status and not FINAL[status] and dead_letter == position then
    if #positions < limit then positions[#positions + 1] = tonumber(position) end
  else
    redis.call('ZREM', in_use, entry)
  end
end
if redis.call('EXISTS', in_use) == 0 then redis.call('SREM', DEAD_LETTER_USERS_KEY, webhook) end
return positions
