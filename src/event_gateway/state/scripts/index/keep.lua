-- Keeps entries of the index of events for longer, as the log now stores their events for longer.
-- ARGV: ms for which the stream stores events, the stream, and the names of slots.
-- include shared/clock.lua
-- include shared/index.lua
local kept, stream = tonumber(ARGV[1]), ARGV[2]
for at = 3, #ARGV do
  local key, ends = found_key(stream, ARGV[at]), entries_end(ARGV[at], kept)
  local left = redis.call('PTTL', key)
  if left > 0 and now + left < tonumber(ends) then redis.call('PEXPIREAT', key, ends) end
end
