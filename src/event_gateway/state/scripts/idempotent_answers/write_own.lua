-- Replaces or deletes a key that a request has marked, unless another request's marker or answer is
-- there. KEYS[1]: the key; ARGV: the request's marker, the new value ('': delete), its lifetime in
-- ms. Returns 1, or 0 if the key is another's.
local marker, value, lifetime = unpack(ARGV)
local current = redis.call('GET', KEYS[1])
if current and current ~= marker then return 0 end
if value == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], value, 'PX', lifetime)
end
return 1
