-- Takes or keeps a lease. KEYS[1]: the key; ARGV: who, for how many ms. Answers 1 where it is held.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
