-- Returns the number of queued deliveries of each webhook. ARGV: msgpack array of webhook ids.
local depths = {}
for position, webhook in ipairs(cmsgpack.unpack(ARGV[1])) do
  depths[position] = redis.call('ZCARD', queue_key(webhook))
end
return depths
