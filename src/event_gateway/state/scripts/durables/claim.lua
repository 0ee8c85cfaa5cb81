-- Takes a durable name for a subscription. KEYS[1]: its key; ARGV: the subscription, when the
-- stream was created, the subscription that may lose the name ('': none), ms for which an unused
-- name is stored.
-- Returns {1, position or -1}, or {0, the subscription that uses the name}. The position is
-- 'former' if the last one is of an earlier stream, until one of the present stream is stored.
local subscription, created, instead_of, ttl = unpack(ARGV)
local known, holder, position, former =
  unpack(redis.call('HMGET', KEYS[1], 'made', 'holder', 'position', 'former'))
if known ~= created then
  -- Another stream with the same name, created later: the name starts without a position.
  redis.call('DEL', KEYS[1])
  holder, position, former = false, false, known and '1'
  if former then redis.call('HSET', KEYS[1], 'former', '1') end
end
if holder and holder ~= instead_of then return { 0, holder } end
redis.call('HSET', KEYS[1], 'made', created, 'holder', subscription)
redis.call('PEXPIRE', KEYS[1], ttl)
return { 1, position or (former and 'former') or '-1' }
