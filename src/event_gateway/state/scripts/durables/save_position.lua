-- Advances the position of a durable name, and releases the name on request. KEYS[1]: its key;
-- ARGV: the subscription, the position, 1 to release the name, ms for which an unused name is
-- stored.
-- Returns 0 if another subscription uses the name by now.
local subscription, position, release, ttl = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'holder') ~= subscription then return 0 end
if tonumber(position) > tonumber(redis.call('HGET', KEYS[1], 'position') or '-1') then
  redis.call('HSET', KEYS[1], 'position', position)
  redis.call('HDEL', KEYS[1], 'former')
end
if release == '1' then redis.call('HDEL', KEYS[1], 'holder') end
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
