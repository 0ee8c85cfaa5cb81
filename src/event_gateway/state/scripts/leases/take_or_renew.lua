-- Takes or renews a lease. KEYS[1]: its key; ARGV: the holder, duration in ms, 1 if the holder has
-- it whatever is stored: this server may have lost that.
-- Returns 1, or 0 if another holder has the lease.
local holder, lease, insists = unpack(ARGV)
local current = redis.call('GET', KEYS[1])
if current and current ~= holder and insists ~= '1' then return 0 end
redis.call('SET', KEYS[1], holder, 'PX', lease)
return 1
