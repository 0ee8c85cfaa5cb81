-- Takes a durable name for a subscription. KEYS[1]: its key; ARGV: the subscription, when the
-- stream was created, the subscription that may lose the name ('': none), ms for which an unused
-- name is stored.
-- Returns {1, position or -1}, or {0, the subscription that uses the name}.
local subscription, created, instead_of, ttl = unpack(ARGV)
local known, holder, position = unpack(redis.call('HMGET', KEYS[1], 'made', 'holder', 'position'))
if known ~= created then
  -- Another stream with the same name, created later: the name starts without a position.
  redis.call('DEL', KEYS[1])
  holder, position = false, false
end
if holder and holder ~= instead_of then return { 0, holder } end
redis.call('HSET', KEYS[1], 'made', created, 'holder', subscription)
redis.call('PEXPIRE', KEYS[1], ttl)
return { 1, position or '-1' }
