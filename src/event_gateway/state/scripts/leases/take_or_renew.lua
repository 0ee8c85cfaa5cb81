-- Takes or renews a lease. KEYS[1]: its key; ARGV: the holder, duration in ms.
-- Returns 1, or 0 if another holder has the lease.
local holder, lease = unpack(ARGV)
local current = redis.call('GET', KEYS[1])
if current and current ~= holder then return 0 end
redis.call('SET', KEYS[1], holder, 'PX', lease)
return 1
