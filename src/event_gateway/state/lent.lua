-- Which dead letters a webhook's deliveries may still need, as they are delivered again.
-- KEYS[1]: the prefix of all keys; ARGV: webhook, how many are wanted. Answers their places.
-- lent:{webhook} has "place member" by place; who has ended, or has been begun anew from another
-- letter since, needs it no more. lenders has the webhooks of which there are some.
local prefix, webhook, wanted = KEYS[1], ARGV[1], tonumber(ARGV[2])
local final = { succeeded = true, dead_letter = true, cancelled = true }
local lent, places = prefix .. 'lent:' .. webhook, {}
for _, entry in ipairs(redis.call('ZRANGE', lent, 0, 999)) do
  local place, member = string.match(entry, '^(%d+) (.*)$')
  local have = redis.call('HMGET', prefix .. 'delivery:' .. webhook .. ':' .. member, 'status',
    'letter')
  if have[1] and not final[have[1]] and have[2] == place then
    if #places < wanted then places[#places + 1] = tonumber(place) end
  else
    redis.call('ZREM', lent, entry)
  end
end
if redis.call('EXISTS', lent) == 0 then redis.call('SREM', prefix .. 'lenders', webhook) end
return places
