-- How many deliveries wait for each of some webhooks. ARGV[1]: msgpack array of their ids.
local depths = {}
for position, webhook in ipairs(cmsgpack.unpack(ARGV[1])) do
  depths[position] = redis.call('ZCARD', KEYS[1] .. 'queue:' .. webhook)
end
return depths
